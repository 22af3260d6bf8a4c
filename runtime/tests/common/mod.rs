//! Programs of a few lines, compiled and appended as the builder does it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What every program begins with: promises over the host's calls.
const PRELUDE: &str = "
let last = 0
const waiting = new Map()
host.onAnswer = (id, ok, json) => {
  const [resolve, reject] = waiting.get(id)
  waiting.delete(id)
  if (ok) resolve(JSON.parse(json))
  else reject(Object.assign(new Error(json), JSON.parse(json)))
}
host.onEvent = () => {}
const call = (op, args = {}) => new Promise((resolve, reject) => {
  waiting.set(++last, [resolve, reject])
  host.call(last, op, JSON.stringify(args))
})
const failure = async (promise) => promise.then(() => { throw new Error('it did not fail') }, (error) => error)
";

/// A directory of one test, gone when the test ends.
pub struct Place(pub PathBuf);

impl Place {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("diskless-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// An init that runs this program.
    pub fn program(&self, name: &str, text: &str) -> PathBuf {
        let (source, bytecode, init) =
            (self.path(&format!("{name}.js")), self.path(&format!("{name}.bc")), self.path(name));
        std::fs::write(&source, format!("{PRELUDE}{text}")).unwrap();
        assert_success(&host(&[&"--compile", &source, &bytecode]));
        assert_success(&host(&[&"--append", &bytecode, &init]));
        init
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn host(arguments: &[&dyn AsRef<Path>]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_diskless-init"));
    command.args(arguments.iter().map(|argument| argument.as_ref().as_os_str()));
    command.output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn assert_success(output: &Output) {
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}
