//! Names are resolved by the static C library alone, in a root that has nothing of NSS: no nsswitch.conf, no modules.

mod common;
#[path = "../src/fuzz.rs"]
mod fuzz;

use common::{Place, text};
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Output};

/// What a name server does with a question for an AAAA.
#[derive(Clone, Copy, PartialEq)]
enum Six {
    Answered,
    Dropped,
}

/// Answers every question for an address of `boot.test` with 127.0.0.80, for one of `two.test` with that and ::1, and
/// all others with no such name.
fn serve_names(socket: UdpSocket, six: Six) {
    let mut question = [0; 512];
    while let Ok((length, client)) = socket.recv_from(&mut question) {
        let question = &question[..length];
        let ends = question[12..].iter().position(|&byte| byte == 0).unwrap() + 12 + 5;
        let both = question[12..].starts_with(b"\x03two\x04test\0");
        let known = both || question[12..].starts_with(b"\x04boot\x04test\0");
        let (address, longer) =
            (question[ends - 4..ends - 2] == [0, 1], question[ends - 4..ends - 2] == [0, 28]);
        if longer && six == Six::Dropped {
            continue;
        }
        let answers = u8::from(known && address || both && longer);
        // Response, recursion available; NXDOMAIN is 3.
        let mut answer =
            [&question[..2], &[0x81, if known { 0x80 } else { 0x83 }, 0, 1, 0, answers, 0, 0, 0, 0]].concat();
        answer.extend(&question[12..ends]);
        if answers > 0 && longer {
            answer.extend([0xc0, 12, 0, 28, 0, 1, 0, 0, 0, 60, 0, 16]);
            answer.extend(std::net::Ipv6Addr::LOCALHOST.octets());
        } else if answers > 0 {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 80]);
        }
        let _ = socket.send_to(&answer, client);
    }
}

/// Answers every question with damage, mostly to that very question, and then as it should: one name for another, whose
/// address it is.
fn serve_damage(socket: UdpSocket) {
    let (mut chance, mut question) = (fuzz::Chance::new(), [0; 512]);
    while let Ok((length, client)) = socket.recv_from(&mut question) {
        let question = &question[..length];
        let ends = question[12..].iter().position(|&byte| byte == 0).unwrap() + 12 + 5;
        let kind = question[ends - 4..ends - 2].to_vec();
        let octets = if kind == [0, 28] { vec![0, 16, 0xfd, 0x77] } else { vec![0, 4, 10, 77] };
        let mut good = [&question[..2], &[0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0], &question[12..ends]].concat();
        // Its alias is `x.` and what follows the question's first label.
        let (alias, rest) = (ends + 12, 12 + 1 + question[12]);
        good.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 4, 1, b'x', 0xc0, rest]);
        good.extend([&[0xc0, alias as u8], &kind[..], &[0, 1, 0, 0, 0, 60], &octets].concat());
        good.resize(good.len() + usize::from(octets[1]) - 2, 1);
        let good = [good];
        for _ in 0..2 {
            let mut damaged = chance.damaged(&good);
            if damaged.len() > 2 && chance.below(8) > 0 {
                damaged[..2].copy_from_slice(&question[..2]);
            }
            let _ = socket.send_to(&damaged, client);
        }
        let _ = socket.send_to(&good[0], client);
    }
}

/// Answers every question with SERVFAIL.
fn serve_failures(socket: UdpSocket) {
    let mut question = [0; 512];
    while let Ok((length, client)) = socket.recv_from(&mut question) {
        let answer = [&question[..2], &[0x81, 0x82], &question[4..length]].concat();
        let _ = socket.send_to(&answer, client);
    }
}

fn serve_pages(listener: TcpListener) {
    for mut stream in listener.incoming().map_while(Result::ok) {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
    }
}

/// In a network of its own with only a loopback. `None` without the rights to make one.
fn alone_in_a_network(run: impl FnOnce() -> Output + Send + 'static) -> Option<Output> {
    let thread = std::thread::spawn(|| {
        // SAFETY: this thread alone moves to a new network namespace; memory and descriptors are as before.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            return None;
        }
        common::assert_success(&Command::new("ip").args(["link", "set", "lo", "up"]).output().unwrap());
        let names = UdpSocket::bind("127.0.0.53:53").unwrap();
        // Takes questions and says nothing.
        std::mem::forget(UdpSocket::bind("127.0.0.54:53").unwrap());
        let pages = TcpListener::bind("127.0.0.80:80").unwrap();
        let failing = UdpSocket::bind("127.0.0.55:53").unwrap();
        let dropping = UdpSocket::bind("127.0.0.56:53").unwrap();
        let damaging = UdpSocket::bind("127.0.0.57:53").unwrap();
        // Takes no connection: its queue is full.
        let full = TcpListener::bind("[::1]:80").unwrap();
        rustix::net::listen(&full, 0).unwrap();
        std::mem::forget((std::net::TcpStream::connect("[::1]:80").unwrap(), full));
        std::thread::spawn(|| serve_names(names, Six::Answered));
        std::thread::spawn(|| serve_names(dropping, Six::Dropped));
        std::thread::spawn(|| serve_failures(failing));
        std::thread::spawn(|| serve_damage(damaging));
        std::thread::spawn(|| serve_pages(pages));
        Some(run())
    });
    thread.join().unwrap()
}

#[test]
fn a_root_with_nothing_but_a_resolv_conf_resolves() {
    let place = Place::new("names");
    let program = "
        const fetch = (host) => call('pipelines.run', {
          source: { kind: 'http', url: `http://${host}/`, deadlines: { connectMs: 20000, stallMs: 20000, totalMs: 60000 } },
          filters: [], sink: { kind: 'text', bytes: 100 },
        })
        const before = await failure(fetch('boot.test'))
        host.log(`before: ${before.code} ${before.subject}`)
        await call('files.writeText', { path: '/etc/resolv.conf', text: 'nameserver 127.0.0.53\\n' })
        host.log(`after: ${(await fetch('boot.test')).text}`)
        const unknown = await failure(fetch('nobody.test'))
        host.log(`unknown: ${unknown.code} ${unknown.message}`)
        await call('files.writeText', { path: '/etc/hosts', text: '127.0.0.80 by.hand\\n' })
        host.log(`hosts: ${(await fetch('by.hand')).text}`)
        const resolve = (name, timeoutMs = 20000) => call('network.resolve', { name, timeoutMs })
        host.log(`addresses: ${await resolve('boot.test')} ${await resolve('by.hand')} ${await resolve('fe80::1')}`)
        const nobody = await failure(resolve('nobody.test'))
        host.log(`nobody: ${nobody.code} ${nobody.operation}`)
        await call('files.writeText', { path: '/etc/resolv.conf', text: 'nameserver 127.0.0.54\\n' })
        const silent = await failure(resolve('boot.test', 100))
        host.log(`silent: ${silent.code} ${silent.message}`)";
    place.program("init", program);
    std::fs::create_dir(place.path("etc")).unwrap();
    let root = place.0.clone();
    let output = alone_in_a_network(move || {
        Command::new("chroot").arg(root).args(["/init", "--engine"]).output().unwrap()
    });
    let Some(output) = output else {
        eprintln!("\nSKIPPED: a_root_with_nothing_but_a_resolv_conf_resolves needs root\n");
        return;
    };
    let said = text(&output.stderr);
    for part in [
        "before: DNS http://boot.test/\n",
        "after: hello\n",
        "unknown: DNS the name nobody.test",
        "hosts: hello\n",
        "addresses: 127.0.0.80 127.0.0.80 fe80::1\n",
        "nobody: DNS network.resolve\n",
        "silent: TIMEOUT no answer within 0.1 s\n",
    ] {
        assert!(said.contains(part), "{part:?} is not in:\n{said}");
    }
}

#[test]
fn the_dns_race_is_won_by_whoever_answers() {
    let place = Place::new("race");
    let program = "
        const page = { filters: [], sink: { kind: 'text', bytes: 100 } }
        const deadlines = { connectMs: 9000, stallMs: 9000, totalMs: 20000 }
        const times = async (what, resolver, name) => {
          await call('files.writeText', { path: '/etc/resolv.conf', text: resolver })
          const begun = host.now()
          const { text } = await call('pipelines.run', { ...page, source: { kind: 'http', url: `http://${name}/`, deadlines } })
          host.log(`${what}: ${text} ${host.now() - begun < 3000 ? 'soon' : 'late'}`)
        }
        await times('a silent resolver', 'nameserver 127.0.0.54\\nnameserver 127.0.0.53\\n', 'boot.test')
        await times('two silent resolvers', 'nameserver 127.0.0.54\\nnameserver 127.0.0.54\\nnameserver 127.0.0.53\\n', 'boot.test')
        await times('a failing resolver', 'nameserver 127.0.0.55\\nnameserver 127.0.0.53\\n', 'boot.test')
        await times('a resolver that drops AAAA', 'nameserver 127.0.0.56\\n', 'boot.test')
        await times('a search list', 'search none.test test\\nnameserver 127.0.0.53\\n', 'boot')
        await times('an IPv6 address that nobody is at', 'nameserver 127.0.0.53\\n', 'two.test')";
    place.program("init", program);
    std::fs::create_dir(place.path("etc")).unwrap();
    let root = place.0.clone();
    let output = alone_in_a_network(move || {
        Command::new("chroot").arg(root).args(["/init", "--engine"]).output().unwrap()
    });
    let Some(output) = output else {
        eprintln!("\nSKIPPED: the_dns_race_is_won_by_whoever_answers needs root\n");
        return;
    };
    let said = text(&output.stderr);
    for what in [
        "a silent resolver",
        "two silent resolvers",
        "a failing resolver",
        "a resolver that drops AAAA",
        "a search list",
        "an IPv6 address that nobody is at",
    ] {
        assert!(said.contains(&format!("{what}: hello soon\n")), "{what:?} is not in:\n{said}");
    }
}

/// The decoder is glibc's, static, and nobody looks after it but we.
#[test]
fn dns_answers_fuzzed() {
    let place = Place::new("damage");
    // Two families, two damaged answers each.
    let names = fuzz::inputs(2000) / 4;
    let program = format!(
        "
        await call('files.writeText', {{ path: '/etc/resolv.conf', text: 'nameserver 127.0.0.57\\n' }})
        let asked = 0, found = 0, odd = 0
        const ask = async () => {{
          while (asked++ < {names}) {{
            try {{
              const addresses = await call('network.resolve', {{ name: `n${{asked}}.test`, timeoutMs: 20000 }})
              found++
              if (!addresses.every((each) => /^[0-9a-f.:%]+$/.test(each))) odd++
            }} catch (error) {{
              if (error.code !== 'DNS') host.log(`${{error.code}} ${{error.message}}`)
            }}
          }}
        }}
        await Promise.all(Array.from({{ length: 8 }}, ask))
        host.log(`found ${{found}}, odd ${{odd}}`)"
    );
    place.program("init", &program);
    std::fs::create_dir(place.path("etc")).unwrap();
    let root = place.0.clone();
    let output = alone_in_a_network(move || {
        Command::new("chroot").arg(root).args(["/init", "--engine"]).output().unwrap()
    });
    let Some(output) = output else {
        eprintln!("\nSKIPPED: dns_answers_fuzzed needs root\n");
        return;
    };
    let said = text(&output.stderr);
    let found = said.lines().find_map(|line| line.strip_prefix("found ")?.strip_suffix(", odd 0"));
    let found: usize = found.and_then(|found| found.parse().ok()).unwrap_or_else(|| panic!("{said}"));
    eprintln!("{found} of {names} names were found");
    assert!(found > names / 2, "{said}");
}
