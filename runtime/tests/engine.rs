//! The engine as it ships: a program compiled, appended and run; and each way in which it can end.

mod common;

use common::{Place, assert_success, host, text};
use std::process::Command;

/// Runs a program outside PID 1; what it ended with and what it said.
fn run(name: &str, program: &str) -> (Option<i32>, String) {
    let place = Place::new(name);
    let init = place.program(name, program);
    let output = Command::new(init).arg("--engine").output().unwrap();
    (output.status.code(), text(&output.stderr))
}

fn assert_fatal(name: &str, program: &str, expected: &[&str]) {
    let (code, said) = run(name, program);
    assert_eq!(code, Some(70), "{said}");
    for part in expected {
        assert!(said.contains(part), "{part:?} is not in:\n{said}");
    }
}

#[test]
fn an_exception_ends_with_its_chain_and_the_advice() {
    let program = "
        class BootError extends Error { name = 'BootError'; advice = ['look at the cable'] }
        throw new BootError('no network', { cause: new Error('no carrier', { cause: 'a string' }) })";
    assert_fatal(
        "exception",
        program,
        &["init failed: no network\n", "  because: no carrier\n  because: a string\n  look at the cable\n"],
    );
}

#[test]
fn a_mistake_says_where() {
    assert_fatal(
        "mistake",
        "\nfunction reach() { undefined.x }\nreach()",
        &["TypeError", "at reach (mistake.js:"],
    );
}

#[test]
fn a_rejection_that_nobody_handles() {
    assert_fatal(
        "rejection",
        "void (async () => { throw new Error('lost') })(); await call('clock.sleep', { milliseconds: 60000 })",
        &["nobody handled a rejected promise: lost"],
    );
}

#[test]
fn a_rejection_handled_within_the_same_turn_is_none() {
    let program = "const rejected = Promise.reject(new Error('handled')); rejected.catch(() => {}); host.log('went on')";
    assert_fatal("handled", program, &["went on\n", "init ended without handing over"]);
}

#[test]
fn endless_recursion_is_an_exception_not_a_crash() {
    assert_fatal("stack", "const f = () => f() + 1; f()", &["Maximum call stack size exceeded"]);
}

#[test]
fn endless_memory_is_an_exception_not_a_crash() {
    assert_fatal(
        "memory",
        "const all = []; for (;;) all.push(new Array(1000).fill(1.5))",
        &["out of memory", "JavaScript may use"],
    );
}

#[test]
fn an_endless_loop_is_ended() {
    let turn = "await call('clock.sleep', { milliseconds: 1 }); const spin = async () => { for (;;) {} }; ";
    assert_fatal(
        "spin",
        &format!("{turn}try {{ await spin() }} finally {{ host.log('went on') }}"),
        &["interrupted"],
    );
}

#[test]
fn ending_without_a_handover() {
    assert_fatal("end", "", &["init ended without handing over"]);
}

#[test]
fn waiting_for_nothing() {
    assert_fatal("nothing", "await new Promise(() => {})", &["init waits for something that can never come"]);
}

#[test]
fn host_fatal() {
    assert_fatal(
        "told",
        "host.fatal('as the program says'); await call('clock.sleep', { milliseconds: 60000 })",
        &["as the program says"],
    );
}

#[test]
fn a_file_that_is_not_there_is_a_sys_error() {
    let program = "
        const error = await failure(call('files.readText', { path: '/no/such' }))
        host.log([error.code, error.operation, error.subject, error.message].join('|'))
        host.log((await failure(call('no.such'))).code)
        host.log((await failure(call('files.readText', { file: 1 }))).code)";
    assert_fatal("errors", program, &["ENOENT|files.readText|/no/such|No such file", "\nENOSYS\nEINVAL\n"]);
}

#[test]
fn sleeps_end_in_order_and_can_be_cancelled() {
    let program = "
        const sleep = (milliseconds) => call('clock.sleep', { milliseconds })
        const ended = []
        const long = failure(sleep(600000)).then((error) => ended.push(error.code))
        host.cancel(last)
        await Promise.all([long, sleep(40).then(() => ended.push('b')), sleep(1).then(() => ended.push('a'))])
        host.log(ended.join())";
    assert_fatal("sleeps", program, &["ABORTED,a,b"]);
}

#[test]
fn processes_answer_with_status_and_output_and_die_in_time() {
    let program = "
        const run = (argv, more) => call('processes.run', { argv, timeoutMs: 20000, ...more })
        host.log(JSON.stringify(await run(['sh', '-c', 'cat; echo err >&2; exit 3'], { input: 'in ' })))
        host.log(JSON.stringify(await run(['sh', '-c', 'kill -TERM $$'])))
        const late = await failure(run(['sh', '-c', 'echo before; sleep 600 & wait'], { timeoutMs: 300 }))
        host.log(late.code + ' ' + late.detail)
        host.log((await failure(run(['no-such-program']))).code)
        host.log((await failure(run(['sh'], { root: '/no/such' }))).code)
        const daemon = await run(['sh', '-c', 'sleep 600 & echo $!'])
        await run(['kill', daemon.output.trim()])
        const given = run(['sleep', '600'])
        const settled = failure(given)
        host.cancel(last)
        host.log((await settled).code)";
    assert_fatal(
        "processes",
        program,
        &[
            r#"{"status":3,"output":"in err\n"}"#,
            r#"{"status":143,"output":""}"#,
            "TIMEOUT before\n",
            "ENOENT\nENOENT\nABORTED\n",
        ],
    );
}

#[test]
fn files_do_what_they_say() {
    let place = Place::new("files-room");
    let program = format!(
        "const at = (name) => '{}/' + name
        await call('files.makeDirectory', {{ path: at('a/b'), mode: 0o700 }})
        await call('files.writeText', {{ path: at('a/b/f'), text: 'one', mode: 0o640 }})
        await call('files.writeText', {{ path: at('a/b/f'), text: ' two', append: true }})
        await call('files.symlink', {{ target: '/b/f', path: at('a/link') }})
        await call('files.copy', {{ from: at('a/b/f'), to: at('copy') }})
        host.log(await call('files.readText', {{ path: at('copy') }}))
        const {{ kind, mode, size }} = await call('files.status', {{ path: at('copy') }})
        host.log([kind, mode.toString(8), size].join())
        host.log(JSON.stringify(await call('files.status', {{ path: at('none') }})))
        host.log(await call('files.resolveIn', {{ root: at('a'), path: '/link' }}))
        host.log('' + await call('files.resolveIn', {{ root: at('a'), path: '../../../../etc/passwd' }}))
        host.log(JSON.stringify(await call('files.list', {{ directory: at('a') }})))
        host.log('' + Object.keys(await call('files.readTexts', {{ paths: [at('copy'), at('none')] }})).length)
        await call('files.writeText', {{ path: at('big'), text: 'x'.repeat(1048577) }})
        host.log((await failure(call('files.readText', {{ path: at('big') }}))).code)
        await call('files.remove', {{ path: at('a') }})
        host.log(JSON.stringify(await call('files.list', {{ directory: at('') }})))",
        place.0.display()
    );
    let there = place.0.display();
    let link = format!("null\n{there}/a/b/f\nnull\n[\"b\",\"link\"]\n1\nTOO_BIG\n[\"big\",\"copy\"]\n");
    assert_fatal("files", &program, &["one two\nfile,640,7\n", &link]);
}

#[test]
fn a_program_replaces_the_one_that_is_there_and_another_build_is_refused() {
    let place = Place::new("append");
    let first = place.program("first", "host.log('first')");
    let second = place.program("second", "host.log('second')");
    // The first's init, made to carry the second's program.
    let again = place.path("again");
    let output =
        Command::new(&first).arg("--append").args([place.path("second.bc"), again.clone()]).output().unwrap();
    assert_success(&output);
    assert_eq!(std::fs::read(&again).unwrap(), std::fs::read(&second).unwrap());

    let mut foreign = std::fs::read(place.path("first.bc")).unwrap();
    foreign[20] ^= 1;
    std::fs::write(place.path("foreign.bc"), foreign).unwrap();
    let refused = host(&[&"--append", &place.path("foreign.bc"), &again]);
    assert!(!refused.status.success() && text(&refused.stderr).contains("another build"));
    std::fs::write(place.path("text.bc"), "not bytecode").unwrap();
    let refused = host(&[&"--append", &place.path("text.bc"), &again]);
    assert!(!refused.status.success() && text(&refused.stderr).contains("not bytecode made by --compile"));
}

#[test]
fn a_bundle_that_does_not_parse_is_refused_with_its_place() {
    let place = Place::new("syntax");
    std::fs::write(place.path("bad.js"), "\n\nlet x = ;").unwrap();
    let refused = host(&[&"--compile", &place.path("bad.js"), &place.path("bad.bc")]);
    assert!(
        !refused.status.success() && text(&refused.stderr).contains("bad.js:3:9"),
        "{}",
        text(&refused.stderr)
    );
}
