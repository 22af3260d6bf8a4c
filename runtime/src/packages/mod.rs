//! apk v2 repositories and packages, as far as bytes are concerned. `Packages` in src/sys/sys.ts.
//!
//! Formats: wiki.alpinelinux.org/wiki/Apk_spec, and what apk-tools 2.14 does.

mod checksum;
mod commit;
mod control;
mod database;
mod directories;
pub mod index;
mod installed;
mod member;
mod names;
mod owners;
mod place;
mod protected;
mod settle;
mod signature;
pub mod stage;
mod table;
#[cfg(test)]
mod tests;
mod verify;

use crate::error::{Result, SysError};
use crate::ops::{Call, Cancel, Emit, Ops};
use crate::pipeline::failure::sys_error;
use crate::pipeline::inside::Root;
use crate::workers::Workers;
use commit::{CommitRequest, CommitResult};
use database::Database;
use index::Index;
use serde::{Deserialize, Serialize};
use stage::Stage;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

pub fn register(ops: &mut Ops) {
    ops.pool("packages.verifyIndex", verify_index);
    ops.pool("packages.saveIndex", save_index);
    ops.inline("packages.lookup", lookup);
    ops.inline("packages.installIf", install_if);
    ops.inline("packages.closeIndex", close_index);
    ops.pool("packages.openDatabase", open_database);
    ops.deferred("packages.commit", |arguments, call| in_order(commit_stage, arguments, call));
    ops.deferred("packages.enter", |arguments, call| in_order(enter, arguments, call));
    ops.pool("packages.extractScript", extract_script);
    ops.pool("packages.extractInstalledScript", extract_installed_script);
    ops.pool("packages.settleDirectories", settle_directories);
    ops.pool("packages.discard", discard);
    ops.pool("packages.writeDatabase", write_database);
}

/// What TypeScript holds by a number.
#[derive(Default)]
struct Kept {
    last: u32,
    indexes: HashMap<u32, Arc<Index>>,
    stages: HashMap<u32, Arc<Mutex<Stage>>>,
    databases: HashMap<u32, Arc<Mutex<Database>>>,
}

static KEPT: LazyLock<Mutex<Kept>> = LazyLock::new(Mutex::default);

fn kept() -> MutexGuard<'static, Kept> {
    KEPT.lock().expect("no panic while it is held")
}

fn missing(operation: &str, kind: &str, id: u32) -> SysError {
    SysError::new("EBADF", operation, format!("{kind} {id}"), "it is closed, or was never open")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexHandle {
    id: u32,
    packages: usize,
    description: String,
    signatures: Vec<SignatureName>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SignatureName {
    key_name: String,
    algorithm: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StagedPackage {
    id: u32,
    pkginfo: String,
    scripts: Vec<String>,
    files: usize,
    installed_bytes: u64,
}

pub fn keep_index(index: Index) -> IndexHandle {
    let mut kept = kept();
    kept.last += 1;
    let signatures = index.signatures.iter().map(|signature| SignatureName {
        key_name: signature.key_name.clone(),
        algorithm: signature.algorithm.name(),
    });
    let handle = IndexHandle {
        id: kept.last,
        packages: index.packages(),
        description: index.description.clone(),
        signatures: signatures.collect(),
    };
    kept.indexes.insert(handle.id, Arc::new(index));
    handle
}

pub fn keep_stage(stage: Stage) -> StagedPackage {
    let mut kept = kept();
    kept.last += 1;
    let staged = StagedPackage {
        id: kept.last,
        pkginfo: stage.pkginfo.clone(),
        scripts: stage.scripts.iter().map(|(name, _)| name.clone()).collect(),
        files: stage.files(),
        installed_bytes: stage.installed_bytes(),
    };
    kept.stages.insert(staged.id, Arc::new(Mutex::new(stage)));
    staged
}

fn index_of(operation: &str, id: u32) -> Result<Arc<Index>> {
    kept().indexes.get(&id).cloned().ok_or_else(|| missing(operation, "index", id))
}

fn stage_of(operation: &str, id: u32) -> Result<Arc<Mutex<Stage>>> {
    kept().stages.get(&id).cloned().ok_or_else(|| missing(operation, "stage", id))
}

fn database_of(operation: &str, id: u32) -> Result<Arc<Mutex<Database>>> {
    kept().databases.get(&id).cloned().ok_or_else(|| missing(operation, "database", id))
}

#[derive(Deserialize)]
struct VerifyIndex {
    index: u32,
    keys: HashMap<String, String>,
}

fn verify_index(request: VerifyIndex, _: &Cancel, _: &Emit) -> Result<String> {
    let index = index_of("packages.verifyIndex", request.index)?;
    verify::verify(&index, &request.keys)
}

#[derive(Deserialize)]
struct SaveIndex {
    index: u32,
    directory: String,
    url: String,
}

fn save_index(request: SaveIndex, _: &Cancel, _: &Emit) -> Result<()> {
    const OPERATION: &str = "packages.saveIndex";
    let index = index_of(OPERATION, request.index)?;
    index
        .save(&request.directory, &request.url)
        .map_err(|error| sys_error(error, OPERATION, &request.directory))
}

#[derive(Deserialize)]
struct Names {
    index: u32,
    names: Vec<String>,
}

fn lookup(request: Names) -> Result<Vec<String>> {
    Ok(index_of("packages.lookup", request.index)?.lookup(&request.names))
}

fn install_if(request: Names) -> Result<Vec<String>> {
    Ok(index_of("packages.installIf", request.index)?.install_if(&request.names))
}

#[derive(Deserialize)]
struct CloseIndex {
    index: u32,
}

fn close_index(request: CloseIndex) -> Result<()> {
    kept().indexes.remove(&request.index);
    Ok(())
}

#[derive(Deserialize)]
struct OpenDatabase {
    root: String,
    keep: Vec<String>,
}

#[derive(Serialize)]
struct DatabaseHandle {
    id: u32,
    installed: Vec<String>,
}

fn open_database(request: OpenDatabase, _: &Cancel, _: &Emit) -> Result<DatabaseHandle> {
    let failed = |error| sys_error(error, installed::READ, &request.root);
    let mut root = Root::open(&request.root, installed::READ, &request.root).map_err(failed)?;
    directories::make(&mut root).map_err(failed)?;
    let packages = installed::read(&root).map_err(failed)?;
    let database = Database::new(root, packages, &request.keep);
    let installed = database.packages.iter().map(|package| package.stanza.clone()).collect();
    let mut kept = kept();
    kept.last += 1;
    let id = kept.last;
    kept.databases.insert(id, Arc::new(Mutex::new(database)));
    Ok(DatabaseHandle { id, installed })
}

static COMMITS: LazyLock<Workers> = LazyLock::new(|| Workers::new("commits", 1, 0));

/// What changes a database is done in the order in which it was asked for: nobody has to wait for the one before.
fn in_order<A: Send + 'static, T: Serialize + 'static>(run: fn(A) -> Result<T>, arguments: A, call: Call) {
    COMMITS.run(move || call.reply.answer(run(arguments)));
}

#[derive(Deserialize)]
struct Commit {
    database: u32,
    #[serde(flatten)]
    request: CommitRequest,
}

fn commit_stage(arguments: Commit) -> Result<CommitResult> {
    let Commit { database, request } = arguments;
    let database = database_of(place::COMMIT, database)?;
    let stage = stage_of(place::COMMIT, request.stage)?;
    let mut database = database.lock().expect("no panic while it is held");
    let mut stage = stage.lock().expect("no panic while it is held");
    let result = commit::commit(&mut database, &mut stage, &request)
        .map_err(|error| sys_error(error, place::COMMIT, &request.name));
    drop(stage);
    kept().stages.remove(&request.stage);
    result
}

#[derive(Deserialize)]
struct Enter {
    database: u32,
    #[serde(flatten)]
    request: commit::EnterRequest,
}

fn enter(arguments: Enter) -> Result<()> {
    let Enter { database, request } = arguments;
    let database = database_of(commit::ENTER, database)?;
    let mut database = database.lock().expect("no panic while it is held");
    commit::enter(&mut database, &request).map_err(|error| sys_error(error, commit::ENTER, &request.name))
}

#[derive(Deserialize)]
struct ExtractScript {
    stage: u32,
    script: String,
    path: String,
}

fn extract_script(request: ExtractScript, _: &Cancel, _: &Emit) -> Result<()> {
    let operation = "packages.extractScript";
    let stage = stage_of(operation, request.stage)?;
    let stage = stage.lock().expect("no panic while it is held");
    stage::extract_script(&stage.scripts, operation, &request.script, &request.path)
        .map_err(|error| sys_error(error, operation, &request.path))
}

#[derive(Deserialize)]
struct ExtractInstalledScript {
    database: u32,
    name: String,
    script: String,
    path: String,
}

fn extract_installed_script(request: ExtractInstalledScript, _: &Cancel, _: &Emit) -> Result<()> {
    let operation = "packages.extractInstalledScript";
    let database = database_of(operation, request.database)?;
    let database = database.lock().expect("no panic while it is held");
    let package = database.packages.iter().find(|package| package.name == request.name);
    let scripts = package.map_or(&[][..], |package| &package.scripts);
    stage::extract_script(scripts, operation, &request.script, &request.path)
        .map_err(|error| sys_error(error, operation, &request.path))
}

#[derive(Deserialize)]
struct SettleDirectories {
    database: u32,
}

fn settle_directories(request: SettleDirectories, _: &Cancel, _: &Emit) -> Result<()> {
    let operation = "packages.settleDirectories";
    let database = database_of(operation, request.database)?;
    let database = database.lock().expect("no panic while it is held");
    settle::settle(&database).map_err(|error| sys_error(error, operation, "directories"))
}

#[derive(Deserialize)]
struct Discard {
    stage: u32,
}

/// What the stage has on disk goes when the last user of it is done.
fn discard(request: Discard, _: &Cancel, _: &Emit) -> Result<()> {
    kept().stages.remove(&request.stage);
    Ok(())
}

#[derive(Deserialize)]
struct WriteDatabase {
    database: u32,
    #[serde(default)]
    broken: Vec<String>,
    #[serde(default)]
    untagged: Vec<String>,
}

fn write_database(request: WriteDatabase, _: &Cancel, _: &Emit) -> Result<()> {
    let operation = installed::WRITE;
    let database = database_of(operation, request.database)?;
    let mut database = database.lock().expect("no panic while it is held");
    installed::write(&mut database, &request.broken, &request.untagged)
        .map_err(|error| sys_error(error, operation, "lib/apk/db"))
}
