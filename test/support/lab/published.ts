/** The servers of a published directory, in a lab: dnsmasq and nginx run on the very files that were written. */

import { join } from 'node:path'
import type { Lab } from './index.ts'
import { Service } from './service.ts'

/** `scratch`: where dnsmasq keeps its leases. `file` of servers/. */
export function dnsmasqOn(lab: Lab, directory: string, file: string, scratch: string): Service {
  const options = [
    `--conf-file='${join(directory, 'servers', file)}'`,
    // Where it runs here, and nothing of what it is told.
    ...['--user=root', '--log-facility=-', `--dhcp-leasefile='${join(scratch, 'leases')}'`],
    `--pid-file='${join(scratch, 'dnsmasq.pid')}'`,
  ]
  // Not as process 1, which the kernel ends with this process: dnsmasq drops privileges, and that with them.
  const script = `dnsmasq --keep-in-foreground ${options.join(' ')}\nexit $?`
  return new Service({
    name: file,
    namespace: lab.namespace,
    script,
    ready: /DHCP, (IP range|proxy on subnet)/,
  })
}

export function nginxOn(lab: Lab, directory: string, scratch: string): Service {
  // Its usual places are this machine's own.
  const own = 'for place in log lib; do mount -t tmpfs tmpfs /var/$place/nginx; done'
  const globals = `daemon off; master_process off; user root; pid ${join(scratch, 'nginx.pid')}; error_log stderr notice;`
  const script = `${own}; nginx -e stderr -g '${globals}' -c '${join(directory, 'servers/nginx.conf')}' 2>&1 | cat`
  return new Service({ name: 'nginx.conf', namespace: lab.namespace, script, ready: /OS: Linux/ })
}
