//! `consoles.ask`: one line from whoever answers first, on several consoles at once.
//!
//! Each key counts as somebody being there, so keys are read as they come: the terminal neither collects lines nor
//! echoes, and the few editing keys of a line are ours.

use crate::clock::now;
use crate::error::{Result, SysError};
use crate::ops::{Call, Cancel};
use crate::terminal::{self, Settings};
use crate::wait::on_thread;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::termios::LocalModes;
use serde::Deserialize;
use std::os::fd::OwnedFd;
use std::time::Duration;

const ASK: &str = "consoles.ask";
/// Bytes of an answer; more are not taken.
const LINE: usize = 1 << 10;
/// For a console to take a prompt or an echo.
const PATIENCE: Duration = Duration::from_millis(500);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    devices: Vec<String>,
    prompt: String,
    echo: bool,
    timeout_ms: f64,
}

pub fn ask(question: Question, call: Call) {
    on_thread("ask", call, move |cancel, _| answer(&question, cancel));
}

struct Asked {
    device: String,
    /// Declared before the terminal that it puts back.
    _settings: Option<Settings>,
    terminal: OwnedFd,
    line: Line,
    /// Hung up and opened anew, and nothing typed since.
    again: bool,
}

impl Asked {
    fn open(device: &str, prompt: &str) -> rustix::io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let terminal = rustix::fs::open(device, flags, Mode::empty())?;
        // Quiet before anybody is asked. What is no terminal has nothing to set.
        let quiet = |settings: &mut rustix::termios::Termios| {
            settings.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
            settings.special_codes[rustix::termios::SpecialCodeIndex::VMIN] = 1;
            settings.special_codes[rustix::termios::SpecialCodeIndex::VTIME] = 0;
        };
        let settings = Settings::change(&terminal, quiet)?;
        let asked = Asked {
            device: device.to_owned(),
            _settings: settings,
            terminal,
            line: Line::default(),
            again: false,
        };
        asked.say(prompt)?;
        Ok(asked)
    }

    fn say(&self, text: &str) -> rustix::io::Result<()> {
        terminal::write(&self.terminal, text.as_bytes(), PATIENCE).map(drop)
    }

    /// What came: an answer, something, or nothing yet. An error is its end.
    fn take(&mut self, echo: bool) -> rustix::io::Result<Input> {
        let mut bytes = [0; 256];
        let length = match rustix::io::read(&self.terminal, &mut bytes) {
            Ok(0) => return Err(Errno::IO),
            Ok(length) => length,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Input::Nothing),
            Err(error) => return Err(error),
        };
        self.again = false;
        let mut shown = String::new();
        let whole = bytes[..length].iter().any(|byte| self.line.take(*byte, &mut shown));
        if echo && !shown.is_empty() {
            self.say(&shown)?;
        }
        Ok(if whole { Input::Line(self.line.text()) } else { Input::Keys })
    }
}

enum Input {
    Nothing,
    Keys,
    Line(String),
}

/// A line while it is typed.
#[derive(Default)]
struct Line {
    bytes: Vec<u8>,
    escape: Escape,
}

/// Within the sequence of an arrow or function key (ECMA-48).
#[derive(Default, PartialEq)]
enum Escape {
    #[default]
    None,
    Begun,
    Sequence,
}

impl Line {
    /// True at its end. `shown` is what a person who types sees.
    fn take(&mut self, byte: u8, shown: &mut String) -> bool {
        match std::mem::take(&mut self.escape) {
            Escape::Begun if matches!(byte, b'[' | b'O') => self.escape = Escape::Sequence,
            Escape::Sequence if !(0x40..=0x7e).contains(&byte) => self.escape = Escape::Sequence,
            Escape::Sequence => {}
            Escape::None | Escape::Begun => match byte {
                b'\r' | b'\n' => return true,
                0x1b => self.escape = Escape::Begun,
                // Backspace and Delete.
                0x08 | 0x7f => self.erase(shown),
                // Ctrl-C and Ctrl-U: the whole line.
                0x03 | 0x15 => {
                    while !self.bytes.is_empty() {
                        self.erase(shown);
                    }
                }
                0..0x20 => {}
                _ if self.bytes.len() == LINE => shown.push('\x07'),
                _ => {
                    self.bytes.push(byte);
                    self.show_last(shown);
                }
            },
        }
        false
    }

    /// A character once it is whole.
    fn show_last(&self, shown: &mut String) {
        let start = self.last();
        if let Ok(text) = std::str::from_utf8(&self.bytes[start..]) {
            shown.push_str(text);
        }
    }

    /// Where the last character begins.
    fn last(&self) -> usize {
        let first = self.bytes.iter().rposition(|byte| byte & 0xc0 != 0x80);
        first.unwrap_or(self.bytes.len().saturating_sub(1))
    }

    fn erase(&mut self, shown: &mut String) {
        if !self.bytes.is_empty() {
            self.bytes.truncate(self.last());
            shown.push_str("\x08 \x08");
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

fn answer(question: &Question, cancel: &Cancel) -> Result<String> {
    let subject = question.devices.join(", ");
    let failed = |error: std::io::Error| SysError::os(ASK, subject.as_str(), error);
    let mut last = SysError::new("EINVAL", ASK, subject.as_str(), "there is no console to ask on");
    let mut asked = Vec::new();
    for device in &question.devices {
        match Asked::open(device, &question.prompt) {
            Ok(opened) => asked.push(opened),
            Err(error) => last = SysError::os(ASK, device, error),
        }
    }
    if asked.is_empty() {
        return Err(last);
    }
    let cancelled = cancel.descriptor().map_err(failed)?;
    let mut deadline = now() + question.timeout_ms;
    let ended = loop {
        if asked.is_empty() {
            break Err(SysError::new("EIO", ASK, subject.as_str(), "every console has hung up"));
        }
        let ready = match ready(&asked, &cancelled, deadline) {
            Ok(ready) => ready,
            Err(error) => break Err(failed(error.into())),
        };
        if cancel.cancelled() {
            break Err(SysError::aborted(ASK, subject.as_str()));
        }
        if ready.is_empty() && now() >= deadline {
            break Err(SysError::timeout(ASK, subject.as_str(), question.timeout_ms as u64));
        }
        let mut line = None;
        // From the end, as one may go.
        for index in ready.into_iter().rev() {
            match asked[index].take(question.echo) {
                Ok(Input::Nothing) => {}
                Ok(Input::Keys) => deadline = now() + question.timeout_ms,
                Ok(Input::Line(text)) => line = Some((asked[index].device.clone(), text)),
                Err(_) => reopen(&mut asked, index, &question.prompt),
            }
        }
        if let Some((by, text)) = line {
            tell(&asked, &by);
            return Ok(text);
        }
    };
    // What is printed next begins a line.
    for console in &asked {
        // Who looks at a console that fails sees nothing anyway.
        let _ = console.say("\n");
    }
    ended
}

/// The consoles that have something for us; none at the deadline, or when the call was given up.
fn ready(asked: &[Asked], cancelled: &OwnedFd, deadline: f64) -> rustix::io::Result<Vec<usize>> {
    let left = (deadline - now()).clamp(0.0, 1e9).ceil() as i64;
    let timeout = Timespec { tv_sec: left / 1000, tv_nsec: left % 1000 * 1_000_000 };
    let waited = asked.iter().map(|console| PollFd::new(&console.terminal, PollFlags::IN));
    let mut waited: Vec<PollFd> = waited.chain([PollFd::new(cancelled, PollFlags::IN)]).collect();
    match poll(&mut waited, Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error),
    }
    Ok((0..asked.len()).filter(|index| !waited[*index].revents().is_empty()).collect())
}

/// The end of a session on it hangs a console up, and it can be opened again; one that stays so is left out.
fn reopen(asked: &mut Vec<Asked>, index: usize, prompt: &str) {
    let gone = asked.remove(index);
    if gone.again {
        return;
    }
    let device = gone.device.clone();
    // Puts the settings back first.
    drop(gone);
    if let Ok(opened) = Asked::open(&device, prompt) {
        asked.insert(index, Asked { again: true, ..opened });
    }
}

fn tell(asked: &[Asked], by: &str) {
    let name = by.strip_prefix("/dev/").unwrap_or(by);
    for console in asked {
        let text = if console.device == by { "\n".to_owned() } else { format!("\nanswered on {name}\n") };
        // Who looks at a console that fails sees nothing anyway.
        let _ = console.say(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{Termios, tcgetattr};
    use std::sync::mpsc::channel;

    /// A person at a terminal.
    struct Person {
        keyboard: OwnedFd,
        device: String,
        /// Keeps the terminal's settings when nobody else has it open.
        terminal: OwnedFd,
    }

    impl Person {
        fn new() -> Self {
            let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
            grantpt(&keyboard).unwrap();
            unlockpt(&keyboard).unwrap();
            let device = ptsname(&keyboard, Vec::new()).unwrap().into_string().unwrap();
            let terminal = rustix::fs::open(&device, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
            Person { keyboard, device, terminal }
        }

        fn sees(&self, expected: &str) {
            let mut seen = Vec::new();
            while !String::from_utf8_lossy(&seen).ends_with(expected) {
                let ready = terminal::wait(&self.keyboard, PollFlags::IN, Duration::from_secs(10)).unwrap();
                assert!(!ready.is_empty(), "{expected:?} after {:?}", String::from_utf8_lossy(&seen));
                let mut byte = [0];
                rustix::io::read(&self.keyboard, &mut byte).unwrap();
                seen.extend(byte);
            }
        }

        fn types(&self, text: &[u8]) {
            assert_eq!(rustix::io::write(&self.keyboard, text).unwrap(), text.len());
        }

        fn settings(&self) -> Termios {
            tcgetattr(&self.terminal).unwrap()
        }
    }

    fn asking(
        people: &[&Person],
        echo: bool,
        timeout_ms: f64,
        cancel: &Cancel,
    ) -> impl FnOnce() -> Result<String> + use<> {
        let devices = people.iter().map(|person| person.device.clone()).collect();
        let question = Question { devices, prompt: "Password: ".into(), echo, timeout_ms };
        let (send, receive) = channel();
        let cancel = cancel.clone();
        std::thread::spawn(move || send.send(answer(&question, &cancel)));
        move || receive.recv_timeout(Duration::from_secs(20)).unwrap()
    }

    fn is_quiet(settings: &Termios) -> bool {
        !settings.local_modes.intersects(LocalModes::ECHO | LocalModes::ICANON)
    }

    #[test]
    fn the_first_line_counts_and_the_others_are_told() {
        let (one, two) = (Person::new(), Person::new());
        let end = asking(&[&one, &two], false, 1e4, &Cancel::default());
        one.sees("Password: ");
        two.sees("Password: ");
        assert!(is_quiet(&one.settings()) && is_quiet(&two.settings()));
        one.types(b"half");
        two.types(b"no\x15pass worx\x7fd\x1b[A\xc3\xa9\r");
        assert_eq!(end().unwrap(), "pass word\u{e9}");
        one.sees(&format!("answered on {}\r\n", two.device.trim_start_matches("/dev/")));
        // Only the end of the line: nothing of the answer.
        two.sees("\r\n");
        assert!(!is_quiet(&one.settings()) && !is_quiet(&two.settings()));
    }

    #[test]
    fn an_echo_shows_what_is_typed() {
        let person = Person::new();
        let end = asking(&[&person], true, 1e4, &Cancel::default());
        person.sees("Password: ");
        person.types("né".as_bytes());
        person.sees("né");
        person.types(b"\x7f");
        person.sees("\x08 \x08");
        person.types(b"o\n");
        person.sees("o\r\n");
        assert_eq!(end().unwrap(), "no");
    }

    #[test]
    fn a_deadline_that_keys_restart_and_a_cancel() {
        let person = Person::new();
        let late = asking(&[&person], false, 30.0, &Cancel::default());
        person.sees("Password: ");
        person.types(b"k");
        person.sees("\r\n");
        assert_eq!(late().unwrap_err().code, "TIMEOUT");
        assert!(!is_quiet(&person.settings()));
        let cancel = Cancel::default();
        let end = asking(&[&person], false, 1e4, &cancel);
        person.sees("Password: ");
        cancel.cancel();
        assert_eq!(end().unwrap_err().code, "ABORTED");
        person.sees("\r\n");
        assert!(!is_quiet(&person.settings()));
    }

    #[test]
    fn consoles_that_go_are_left_out() {
        let (one, two) = (Person::new(), Person::new());
        let end = asking(&[&one, &two], false, 1e4, &Cancel::default());
        two.sees("Password: ");
        one.sees("Password: ");
        drop(one);
        two.types(b"yes\n");
        assert_eq!(end().unwrap(), "yes");
        let end = asking(&[&two], false, 1e4, &Cancel::default());
        two.sees("Password: ");
        drop(two);
        assert_eq!(end().unwrap_err().code, "EIO");
        let none = Question {
            devices: vec!["/dev/none".into()],
            prompt: String::new(),
            echo: true,
            timeout_ms: 1.0,
        };
        assert_eq!(answer(&none, &Cancel::default()).unwrap_err().code, "ENOENT");
    }

    #[test]
    fn a_line_is_bounded() {
        let mut line = Line::default();
        let mut shown = String::new();
        for _ in 0..LINE + 10 {
            assert!(!line.take(b'x', &mut shown));
        }
        assert_eq!(line.text().len(), LINE);
        assert!(line.take(b'\n', &mut shown));
    }
}
