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
