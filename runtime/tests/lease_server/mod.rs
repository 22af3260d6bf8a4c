//! What the keeper's tests stand on: namespaces, the keeper with a plan, and a DHCP server that the test speaks for.

use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, Opcode};
use dhcproto::{Decodable, Encodable};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// The longest that anything here takes, on a machine that is busy.
pub const SOON: Duration = Duration::from_secs(30);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// Moves this thread to a new network namespace with a veth pair `far` and `near`, where `near` has the address that
/// the boot left. None without root.
pub fn namespace() -> Option<()> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: needs root for a network namespace");
        return None;
    }
    unshare();
    ip("link set lo up");
    ip("link add near address 02:00:00:00:00:01 type veth peer name far address 02:00:00:00:00:02");
    ip("link set near up");
    ip("address add 10.0.0.50/24 dev near");
    Some(())
}

pub fn unshare() {
    // SAFETY: only this thread's network namespace changes, and everything that it opens afterwards is meant for it.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }.expect("unshare");
}

/// Runs with `far` in a namespace of its own, or packets to it would stay inside ours.
pub fn far<T: Send + 'static>(open: impl FnOnce() -> T + Send + 'static) -> T {
    let (opened, found) = channel();
    let (thread, moved) = (channel(), channel());
    std::thread::spawn(move || {
        unshare();
        thread.0.send(rustix::thread::gettid().as_raw_nonzero()).expect("the test waits");
        moved.1.recv_timeout(SOON).expect("far is moved");
        ip("link set far up");
        opened.send(open()).expect("the test waits");
    });
    let thread = thread.1.recv_timeout(SOON).expect("a thread");
    ip(&format!("link set far netns {thread}"));
    moved.0.send(()).expect("it waits");
    found.recv_timeout(SOON).expect("opened")
}

pub fn ip(words: &str) -> String {
    let output = Command::new("ip").args(words.split(' ')).output().expect("ip starts");
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// How a message came: to the server's own address, or to all.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Way {
    Alone,
    All,
}

pub struct Server {
    socket: UdpSocket,
    messages: Receiver<(Way, Message)>,
}

impl Server {
    pub fn start() -> Server {
        let (alone, all) = far(|| {
            ip("address add 10.0.0.1/24 dev far");
            // A socket bound to the address of all gets what is sent to all and nothing else.
            let alone = UdpSocket::bind((SERVER, 67)).expect("bound");
            let all = UdpSocket::bind((Ipv4Addr::BROADCAST, 67)).expect("bound");
            alone.set_broadcast(true).expect("allowed");
            (alone, all)
        });
        ip("route add default via 10.0.0.254 dev near");
        let (sender, messages) = channel();
        for (way, socket) in [(Way::Alone, alone.try_clone().expect("cloned")), (Way::All, all)] {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let mut buffer = [0; 2048];
                while let Ok((length, _)) = socket.recv_from(&mut buffer) {
                    let message = Message::from_bytes(&buffer[..length]).expect("dhcproto reads it");
                    if sender.send((way, message)).is_err() {
                        return;
                    }
                }
            });
        }
        Server { socket: alone, messages }
    }

    pub fn next(&self) -> (Way, Message) {
        self.messages.recv_timeout(SOON).expect("a message")
    }

    /// What has come and was not looked at.
    pub fn all(&self) -> Vec<Message> {
        self.messages.try_iter().map(|(_, message)| message).collect()
    }

    pub fn is_quiet(&self) -> bool {
        self.messages.try_recv().is_err()
    }

    pub fn answer(&self, to: &Message, kind: MessageType, address: Ipv4Addr, more: &[DhcpOption]) {
        let mut reply = Message::new_with_id(
            to.xid(),
            Ipv4Addr::UNSPECIFIED,
            address,
            Ipv4Addr::UNSPECIFIED,
            Ipv4Addr::UNSPECIFIED,
            &to.chaddr()[..6],
        );
        reply.set_opcode(Opcode::BootReply).set_flags(Flags::default().set_broadcast());
        let options = reply.opts_mut();
        options.insert(DhcpOption::MessageType(kind));
        options.insert(DhcpOption::ServerIdentifier(SERVER));
        if kind != MessageType::Nak {
            options.insert(DhcpOption::AddressLeaseTime(120));
            options.insert(DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 255, 0)));
        }
        for option in more {
            options.insert(option.clone());
        }
        let bytes = reply.to_vec().expect("encoded");
        self.socket.send_to(&bytes, (Ipv4Addr::BROADCAST, 68)).expect("sent");
    }
}

/// A message of another client, as it leaves by `near`.
pub fn send_from_near(mac: [u8; 6], kind: MessageType) {
    let zero = Ipv4Addr::UNSPECIFIED;
    let mut message = Message::new_with_id(77, zero, zero, zero, zero, &mac);
    message.opts_mut().insert(DhcpOption::MessageType(kind));
    let socket = UdpSocket::bind((Ipv4Addr::new(10, 0, 0, 50), 68)).expect("bound");
    socket.set_broadcast(true).expect("allowed");
    socket.send_to(&message.to_vec().expect("encoded"), (Ipv4Addr::BROADCAST, 67)).expect("sent");
}

/// A real server on `far`.
pub struct RealServer {
    child: Child,
    log: Receiver<String>,
}

impl Drop for RealServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub const BUSYBOX: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../node_modules/busybox-static/bin/busybox");

impl RealServer {
    /// Its leases last two minutes, and cannot be shorter.
    pub fn dnsmasq() -> Self {
        let words = "exec dnsmasq --no-daemon --port=0 --conf-file=/dev/null --interface=far --bind-interfaces \
            --leasefile-ro --log-dhcp --user=root --pid-file= --no-ping --dhcp-authoritative \
            --dhcp-range=10.0.0.10,10.0.0.90,255.255.255.0,120 --dhcp-host=02:00:00:00:00:01,10.0.0.50,120";
        let server = RealServer::start(words);
        server.says("DHCP, sockets bound");
        server
    }

    /// Its DHCPv6, for an address that the boot has had.
    pub fn dnsmasq6() -> Self {
        let words = "ip address add 2001:db8::1/64 dev far nodad; exec dnsmasq --no-daemon --port=0 \
            --conf-file=/dev/null --interface=far --bind-interfaces --leasefile-ro --log-dhcp --user=root --pid-file= \
            --dhcp-authoritative --dhcp-range=2001:db8::50,2001:db8::50,64,120";
        let server = RealServer::start(words);
        server.says("DHCP, sockets bound");
        server
    }

    /// busybox's, whose leases are as short as one likes.
    pub fn udhcpd(place: &Place, lease_time: u32) -> Self {
        let leases = place.path.join("leases");
        std::fs::write(&leases, "").expect("written");
        let configuration = format!(
            "interface far\nstart 10.0.0.10\nend 10.0.0.90\nmin_lease 1\nlease_file {}\npidfile {}\n\
             static_lease 02:00:00:00:00:01 10.0.0.50\noption subnet 255.255.255.0\noption lease {lease_time}\n",
            leases.display(),
            place.path.join("udhcpd.pid").display(),
        );
        place.write("udhcpd.conf", &configuration);
        let configuration = place.path.join("udhcpd.conf");
        let server = RealServer::start(&format!("exec {BUSYBOX} udhcpd -f {}", configuration.display()));
        server.says("started");
        server
    }

    fn start(words: &str) -> Self {
        let script = format!(
            "echo unshared; read moved; ip link set lo up; ip link set far up; \
             ip address add 10.0.0.1/24 dev far; exec 2>&1; {words}"
        );
        let mut child = Command::new("unshare")
            .args(["--net", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare starts");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, log) = channel();
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                eprintln!("{line}");
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut server = RealServer { child, log };
        server.says("unshared");
        ip(&format!("link set far netns {}", server.child.id()));
        let mut input = server.child.stdin.take().expect("piped");
        input.write_all(b"moved\n").expect("it reads");
        server
    }

    pub fn says(&self, words: &str) {
        while !self.log.recv_timeout(SOON).expect("it says so").contains(words) {}
    }
}

/// A root of the new system, as far as the keeper looks into it.
pub struct Place {
    path: PathBuf,
    when_lost: std::cell::Cell<&'static str>,
}

impl Place {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("diskless-keeper-{name}-{}", std::process::id()));
        for directory in ["etc", "dev", "run/diskless"] {
            std::fs::create_dir_all(path.join(directory)).expect("made");
        }
        let place = Place { path, when_lost: std::cell::Cell::new("remove") };
        place.write("dev/kmsg", "");
        place.write("etc/resolv.conf", RESOLVER);
        place
    }

    pub fn when_lost(&self, what: &'static str) {
        self.when_lost.set(what);
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path.join(name), text).expect("written");
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path.join(name)).unwrap_or_default()
    }

    pub fn log(&self) -> String {
        self.read("dev/kmsg")
    }

    pub fn keep(&self, options: &[(&str, Value)], lease_time: u32) -> Keeper {
        self.keep_all(&json!([self.lease4(options, lease_time)]))
    }

    pub fn lease4(&self, options: &[(&str, Value)], lease_time: u32) -> Value {
        let zero = "0.0.0.0";
        let mut acknowledged = json!({
            "messageType": "ack", "serverId": "10.0.0.1", "subnetMask": "255.255.255.0", "leaseTime": lease_time,
            "routers": ["10.0.0.254"],
        });
        for (name, value) in options {
            acknowledged[*name] = value.clone();
        }
        let message = json!({
            "op": "reply", "xid": 1, "secs": 0, "broadcast": false, "ciaddr": zero, "yiaddr": "10.0.0.50",
            "siaddr": zero, "giaddr": zero, "chaddr": "02:00:00:00:00:01", "sname": "", "file": "",
            "options": acknowledged,
        });
        let options =
            json!({"clientId": "01020000000001", "parameterRequestList": [1, 3, 6, 26, 51, 54, 58, 59]});
        self.lease(&json!({
            "dhcp4": {"acknowledged": message, "applied": message, "obtainedAt": now(), "options": options},
        }))
    }

    /// `changes` go over a lease of 2001:db8::50 by the server on `far`.
    pub fn lease6(&self, changes: &[(&str, Value)]) -> Value {
        let mut lease = json!({
            "clientId": "00030001020000000001", "serverId": "00030001020000000002", "iaid": 1,
            "address": "2001:db8::50", "obtainedAt": now(),
            "renewalTime": 60, "rebindingTime": 96, "validLifetime": 120, "dns": [], "search": [],
            // Option 6: DNS.
            "options": "000600020017",
        });
        for (name, value) in changes {
            lease[*name] = value.clone();
        }
        self.lease(&json!({"dhcp6": lease}))
    }

    fn lease(&self, lease: &Value) -> Value {
        json!({
            "link": "near", "mac": "02:00:00:00:00:01", "whenLost": self.when_lost.get(),
            "resolver": {"text": RESOLVER, "before": ["9.9.9.9"], "after": [], "search": []},
            "lease": lease,
        })
    }

    pub fn keep_all(&self, leases: &Value) -> Keeper {
        let program = program();
        let plan = json!({"newRoot": self.path, "leases": leases});
        let mut child =
            Command::new(&program).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
        let mut input = child.stdin.take().expect("piped");
        input.write_all(plan.to_string().as_bytes()).expect("it reads");
        Keeper { child: child.into(), program }
    }

    /// The keeper's word on how things stand, as soon as it is what is waited for.
    pub fn state(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let state = serde_json::from_str(&self.read("run/diskless/keeper.json")).unwrap_or(Value::Null);
            if wanted(&state) {
                return state;
            }
            assert!(begun.elapsed() < SOON, "{state} {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// As it is shipped: of its own features, and so not of this build.
fn program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM
        .get_or_init(|| {
            let status = Command::new(env!("CARGO"))
                .args(["build", "--locked", "--quiet", "--release", "--package", "diskless-lease"])
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .status();
            assert!(status.expect("cargo starts").success());
            let host = PathBuf::from(env!("CARGO_BIN_EXE_diskless-init"));
            let target = host.ancestors().nth(2).expect("of a profile, of a target");
            target.join("release/diskless-lease")
        })
        .clone()
}

/// CLOCK_BOOTTIME in milliseconds.
fn now() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec as f64 * 1000.0 + now.tv_nsec as f64 / 1e6
}

const RESOLVER: &str = "nameserver 9.9.9.9\n";

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

pub struct Keeper {
    child: std::cell::RefCell<Child>,
    program: PathBuf,
}

impl Keeper {
    pub fn is_alive(&self) {
        assert_eq!(self.child.borrow_mut().try_wait().expect("waited"), None);
    }

    /// Its exit status.
    pub fn ended(&self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.borrow_mut().try_wait().expect("waited") {
                return status.code();
            }
            assert!(begun.elapsed() < SOON, "it goes on");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// As a shutdown ends it.
    pub fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.child.borrow());
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        assert_eq!(self.ended(), None, "ended by the signal");
    }

    /// Kilobytes: its resident pages, and its file.
    pub fn cost(&self) -> (u64, u64) {
        let pid = self.child.borrow().id();
        let maps = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("read");
        let resident =
            maps.lines().find_map(|line| line.strip_prefix("Rss:")?.strip_suffix("kB")?.trim().parse().ok());
        let file = std::fs::metadata(&self.program).expect("there").len();
        (resident.expect("a number"), file / 1000)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.get_mut().kill();
        let _ = self.child.get_mut().wait();
    }
}
