/** OpenRC's init scripts of the demo, under the names that Alpine's default runlevels have. */

import { type Entry, file } from './tar.ts'

function script(name: string, description: string, body: string): Entry {
  return file(`etc/init.d/${name}`, `#!/sbin/openrc-run\ndescription="${description}"\n\n${body}`, 0o755)
}

export function base(): Entry[] {
  return [
    script(
      'devfs',
      'Mounts what belongs below /dev',
      `depend() { provide dev-mount; keyword -vserver -lxc; }

start() {
	ebegin "Mounting below /dev"
	mkdir -p /dev/pts /dev/shm
	mountinfo -q /dev/pts || mount -t devpts -o gid=5,mode=0620,noexec,nosuid devpts /dev/pts
	mountinfo -q /dev/shm || mount -t tmpfs -o mode=1777,noexec,nosuid,nodev shm /dev/shm
	eend $?
}
`,
    ),
    script(
      'dmesg',
      'Sets what the kernel prints on the console',
      'depend() { before dev modules; }\n\nstart() { ebegin "Quieting the kernel"; dmesg -n1; eend $?; }\n',
    ),
    script(
      'mdev',
      'Manages device nodes',
      `depend() { provide dev; need dev-mount; }

start() { ebegin "Starting the device manager"; mdev -s; eend $?; }
`,
    ),
    script(
      'hwdrivers',
      'Loads drivers',
      `depend() { need dev; }

start() {
	[ -d "/lib/modules/$(uname -r)" ] || return 0
	ebegin "Loading drivers"
	find /sys/devices -name modalias -exec cat {} + | sort -u | xargs -r modprobe -a -q 2>/dev/null
	eend 0
}
`,
    ),
    script(
      'modules',
      'Loads the modules of /etc/modules',
      `start() {
	[ -f /etc/modules ] || return 0
	ebegin "Loading modules"
	grep -v '^#' /etc/modules | xargs -r -n1 modprobe -q
	eend 0
}
`,
    ),
    script(
      'sysctl',
      'Sets kernel parameters',
      'start() {\n\t[ -f /etc/sysctl.conf ] || return 0\n\tebegin "Setting kernel parameters"; sysctl -q -p; eend $?\n}\n',
    ),
    script(
      'hostname',
      'Sets the host name',
      'start() { ebegin "Setting the host name"; hostname -F /etc/hostname; eend $?; }\n',
    ),
    script(
      'bootmisc',
      'Makes what every boot starts with',
      `depend() { before logger; }

start() {
	ebegin "Making temporary files"
	mkdir -p /run/lock && : > /run/utmp && chgrp utmp /run/utmp && chmod 0664 /run/utmp && : > /var/log/wtmp
	eend $?
}
`,
    ),
    script(
      'syslog',
      'Writes the system log',
      `depend() { provide logger; after bootmisc; }

start() {
	ebegin "Starting the system log"
	start-stop-daemon -S -q -b -m -p /run/syslogd.pid -x /sbin/syslogd -- -n
	eend $?
}

stop() { ebegin "Stopping the system log"; start-stop-daemon -K -q -p /run/syslogd.pid; eend $?; }
`,
    ),
    script(
      'killprocs',
      'Ends all processes',
      'depend() { before mount-ro; }\n\nstart() { ebegin "Ending processes"; killall5 -15 2>/dev/null; eend 0; }\n',
    ),
    script('mount-ro', 'Nothing to make read-only: the root is memory', 'start() { return 0; }\n'),
  ]
}

export function sshd(): Entry {
  return script(
    'sshd',
    'OpenSSH server',
    `depend() { use logger dns; after entropy; }

start() {
	mkdir -p /run/sshd && chmod 0755 /run/sshd
	[ -f /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key
	ebegin "Starting the SSH server"
	start-stop-daemon -S -q -p /run/sshd.pid -x /usr/sbin/sshd -- -o PidFile=/run/sshd.pid -h /etc/ssh/ssh_host_ed25519_key
	eend $?
}

stop() { ebegin "Stopping the SSH server"; start-stop-daemon -K -q -p /run/sshd.pid; eend $?; }
`,
  )
}

export function beacon(): Entry {
  return script(
    'beacon',
    'Tells which user it runs as',
    `start() {
	ebegin "Starting the beacon"
	su -s /bin/sh beacon -c 'id -un > /var/lib/beacon/ran-as'
	eend $?
}
`,
  )
}
