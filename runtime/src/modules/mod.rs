//! The room `modules` of `Sys` (src/sys/sys.ts), and modprobe(8) as the kernel calls it: which modules an alias
//! stands for, and loading one after what it needs.

mod glob;
mod insert;
mod tables;
#[cfg(test)]
mod tests;

use crate::devices::Nothing;
use crate::error::{Result, SysError};
use crate::ops::Ops;
use crate::wait::on_thread;
use serde::Deserialize;
use std::path::Path;
use std::sync::LazyLock;
use tables::{Tables, name_of};

pub fn register(ops: &mut Ops) {
    ops.pool("modules.match", |it: Match, _, _| Ok(matching(&TABLES, &it.modaliases)));
    ops.inline("modules.discardLoaded", |_: Nothing| {
        insert::discard_loaded();
        Ok(())
    });
    // A driver may look for its hardware for seconds before finit_module(2) returns.
    ops.deferred("modules.load", |it: Load, call| {
        on_thread("load-module", call, move |_, _| {
            load(&TABLES, &it.name, it.parameters.as_deref().unwrap_or(""))
        });
    });
}

/// modprobe(8) with the arguments after its name. The kernel's own call is `modprobe -q -- ALIAS`; a person may
/// give parameters. The exit status.
pub fn modprobe(arguments: &[String]) -> i32 {
    let quiet = arguments.iter().any(|argument| argument == "-q" || argument == "--quiet");
    let mut words = arguments.iter().filter(|argument| !["-q", "--quiet", "--"].contains(&argument.as_str()));
    let Some(name) = words.next().filter(|name| !name.starts_with('-')) else {
        eprintln!("usage: modprobe [-q] [--] NAME [PARAMETER=VALUE...]");
        return 1;
    };
    let parameters: Vec<&str> = words.map(String::as_str).collect();
    match load(&TABLES, name, &parameters.join(" ")) {
        Ok(()) => 0,
        Err(error) => {
            if !quiet {
                eprintln!("modprobe: {}: {}", error.subject, error.message);
            }
            1
        }
    }
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    Tables::new(&Path::new("/lib/modules").join(release))
});

#[derive(Deserialize)]
struct Match {
    modaliases: Vec<String>,
}

#[derive(Deserialize)]
struct Load {
    name: String,
    parameters: Option<String>,
}

fn matching(tables: &Tables, modaliases: &[String]) -> Vec<&'static str> {
    let mut found = Vec::new();
    for modalias in modaliases {
        for name in tables.matching(modalias) {
            if !found.contains(&name) {
                found.push(name);
            }
        }
    }
    found
}

/// One module of an order of loading.
#[derive(Debug, PartialEq)]
struct Step {
    name: String,
    path: &'static str,
    /// Neither a soft dependency nor needed by one alone: its failure is the order's.
    required: bool,
}

/// Appends what a module needs, then itself, then what it wants after it (modules.softdep), each once.
fn append(tables: &Tables, name: &str, required: bool, order: &mut Vec<Step>, pending: &mut Vec<String>) {
    let Some(file) = tables.file(name) else { return };
    if let Some(step) = order.iter_mut().find(|step| step.name == name) {
        step.required |= required;
        return;
    }
    // Soft dependencies may go in circles.
    if pending.iter().any(|waiting| waiting == name) {
        return;
    }
    pending.push(name.to_owned());
    let soft = |wanted: &[&str], order: &mut Vec<Step>, pending: &mut Vec<String>| {
        for name in wanted.iter().flat_map(|word| resolve(tables, word)) {
            append(tables, &name, false, order, pending);
        }
    };
    let wanted = tables.soft(name);
    soft(wanted.map_or(&[], |wanted| &wanted.pre), order, pending);
    for path in file.needs.split_ascii_whitespace().rev() {
        append(tables, &name_of(path), required, order, pending);
    }
    order.push(Step { name: name.to_owned(), path: file.path, required });
    soft(wanted.map_or(&[], |wanted| &wanted.post), order, pending);
    pending.pop();
}

/// The modules of this name or alias; empty for what is built in, and for what there is none of.
fn resolve(tables: &Tables, word: &str) -> Vec<String> {
    let name = word.replace('-', "_");
    match tables.file(&name) {
        Some(_) => vec![name],
        None if tables.builtin(&name) => Vec::new(),
        None => tables.matching(word).into_iter().map(str::to_owned).collect(),
    }
}

/// What to load for a name or alias, in order. An alias may stand for several modules: each is an order of its own.
fn orders(tables: &Tables, word: &str) -> Vec<Vec<Step>> {
    let one = |name: String| {
        let mut order = Vec::new();
        append(tables, &name, true, &mut order, &mut Vec::new());
        order
    };
    resolve(tables, word).into_iter().map(one).collect()
}

/// As `Modules.load`. Of several modules behind an alias one that loads is enough.
fn load(tables: &Tables, word: &str, parameters: &str) -> Result<()> {
    let orders = orders(tables, word);
    if orders.is_empty() {
        if tables.builtin(&word.replace('-', "_")) || tables.builtin_alias(word) {
            return Ok(());
        }
        let directory = tables.directory.display();
        return Err(SysError::new(
            "ENOENT",
            "modules.load",
            word,
            format!("{directory} has no module of that name"),
        ));
    }
    let (mut loaded, mut first) = (false, None);
    for order in orders {
        match load_order(tables, &order, parameters) {
            Ok(()) => loaded = true,
            Err(error) => first = first.or(Some(error)),
        }
    }
    first.filter(|_| !loaded).map_or(Ok(()), Err)
}

fn load_order(tables: &Tables, order: &[Step], parameters: &str) -> Result<()> {
    let wanted = order.iter().rposition(|step| step.required);
    for (at, step) in order.iter().enumerate() {
        let parameters = if Some(at) == wanted { parameters } else { "" };
        let done = insert::insert(&tables.directory.join(step.path), &step.name, parameters);
        // A soft dependency that fails is the module's own affair, as in modprobe(8); the kernel's log tells of it.
        if step.required {
            done?;
        }
    }
    Ok(())
}
