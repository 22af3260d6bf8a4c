//! Mounts, in a mount namespace of the test's own. Needs root; says so and passes without.

mod common;

use common::{Place, text};
use std::process::Command;

/// Runs a program whose `at` is a directory of its own; what it said.
fn run(name: &str, program: &str) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: needs root for a mount namespace");
        return None;
    }
    let place = Place::new(name);
    let program = format!(
        "const at = (name) => '{}/' + name
        const mount = (options, more) =>
          call('mounts.mount', {{ type: 'tmpfs', source: 'mine', target: at('t'), options, ...more }})
        const entry = async () => (await call('mounts.list')).filter(({{ target }}) => target === at('t')).at(-1)
        await call('files.makeDirectory', {{ path: at('t') }})
        {program}",
        place.0.display()
    );
    let init = place.program(name, &program);
    let output = Command::new("unshare").arg("--mount").arg(init).arg("--engine").output().unwrap();
    Some(text(&output.stderr))
}

#[test]
fn a_mount_with_flags_and_options_is_there_and_goes() {
    let program = "
        await mount(['nosuid,noexec', 'size=64k', 'mode=700', 'x-note', 'nofail'])
        const { type, source, options } = await entry()
        host.log([type, source, ...options].join())
        host.log(JSON.stringify(await call('files.space', { path: at('t') })))
        await call('mounts.remount', { target: at('t'), options: ['ro', 'nosuid'] })
        host.log((await failure(call('files.writeText', { path: at('t/f'), text: 'x' }))).code)
        await call('mounts.unmount', { target: at('t') })
        host.log(typeof (await entry()))
        host.log((await failure(call('mounts.unmount', { target: at('t') }))).code)";
    let Some(said) = run("mount", program) else { return };
    assert!(said.contains("tmpfs,mine,rw,nosuid,noexec,"), "{said}");
    assert!(said.contains("size=64k,mode=700"), "{said}");
    assert!(said.contains("{\"total\":65536,\"free\":65536}\nEROFS\nundefined\nEINVAL\n"), "{said}");
}

#[test]
fn a_refused_option_comes_with_the_kernels_own_words_in_a_thread_and_in_a_child() {
    let program = "
        for (const more of [{}, { timeoutMs: 20000 }]) {
          const error = await failure(mount(['nonsense=1'], more))
          host.log([error.code, error.operation, ...error.detail].join('|'))
        }
        host.log((await failure(mount([], { type: 'no-such-fs', timeoutMs: 20000 }))).code)
        host.log((await failure(mount([], { target: at('none') }))).code)";
    let Some(said) = run("refused-mount", program) else { return };
    let words = "EINVAL|mounts.mount|tmpfs: Unknown parameter 'nonsense'";
    assert!(said.contains(&format!("{words}\n{words}\nENODEV\nENOENT\n")), "{said}");
}

#[test]
fn a_child_mounts_for_all_of_the_engine() {
    let program = "
        await mount(['size=64k'], { timeoutMs: 20000 })
        await call('files.writeText', { path: at('t/file'), text: 'there' })
        await call('files.makeDirectory', { path: at('b') })
        await call('mounts.bind', { source: at('t'), target: at('b'), options: ['ro'] })
        host.log(await call('files.readText', { path: at('b/file') }))
        host.log((await failure(call('files.writeText', { path: at('b/file'), text: '' }))).code)
        host.log((await failure(call('files.remove', { path: at('b') }))).code)
        host.log(await call('files.readText', { path: at('t/file') }))";
    let Some(said) = run("child-mount", program) else { return };
    assert!(said.contains("there\nEROFS\nEBUSY\nthere\n"), "{said}");
}

#[test]
fn an_overlay_over_an_image_whose_partition_is_known() {
    let tools = "command -v sgdisk mkfs.ext4 && test -c /dev/loop-control";
    if !Command::new("sh").args(["-c", tools]).output().unwrap().status.success() {
        eprintln!("skipped: needs sgdisk, mkfs.ext4 and loop devices");
        return;
    }
    let program = "
        const sh = async (line) => {
          const result = await call('processes.run', { argv: ['sh', '-ec', line], timeoutMs: 60000 })
          if (result.status !== 0) throw new Error(result.output)
        }
        const id = '01234567-89ab-cdef-0123-456789abcdef'
        await sh(`cd ${at('')}; truncate -s 16M disk; sgdisk -n 1:2048:0 -c 1:root -u 1:${id} disk
          truncate -s 8M fs; mkdir tree lower upper work all; echo below > tree/file; mkfs.ext4 -q -L lbl -d tree fs
          dd if=fs of=disk bs=1M seek=1 conv=notrunc`)
        const device = await call('devices.attachLoop', { file: at('disk'), readOnly: true, partitions: true })
        // For kernels that read no tables.
        await sh(`test -e ${device}p1 || addpart ${device} 1 2048 30687`)
        const found = await call('devices.probe', { path: device + 'p1', timeoutMs: 20000 })
        host.log([found.type, found.label, found.partUuid, found.partLabel, found.size].join())
        const lower = { type: 'ext4', source: device + 'p1', target: at('lower'), options: ['ro'], timeoutMs: 20000 }
        await call('mounts.mount', lower)
        await call('devices.detachLoop', { device })
        const options = [`lowerdir=${at('lower')},upperdir=${at('upper')}`, `workdir=${at('work')}`]
        await call('mounts.mount', { type: 'overlay', source: 'overlay', target: at('all'), options })
        host.log('overlay: ' + (await call('files.readText', { path: at('all/file') })).trim())
        await call('files.writeText', { path: at('all/file'), text: 'above' })
        host.log('upper: ' + (await call('files.readText', { path: at('upper/file') })))
        await call('mounts.unmount', { target: at('all') })
        const layers = Array(20).fill(at('tree')).map((path, n) => path + n)
        await sh('mkdir ' + layers.join(' '))
        const many = { type: 'overlay', source: 'many', target: at('all'), options: ['lowerdir=' + layers.join(':')] }
        await call('mounts.mount', { ...many, timeoutMs: 20000 })
        await call('mounts.unmount', { target: at('all') })
        await call('mounts.unmount', { target: at('lower') })
        const backing = device.replace('/dev/', '/sys/block/') + '/loop/backing_file'
        host.log('after: ' + (await call('files.status', { path: backing })))";
    let Some(said) = run("overlay", program) else { return };
    let identity = "ext4,lbl,01234567-89ab-cdef-0123-456789abcdef,root,15711744\n";
    assert!(said.contains(identity), "{said}");
    assert!(said.contains("overlay: below\nupper: above\nafter: null\n"), "{said}");
}
