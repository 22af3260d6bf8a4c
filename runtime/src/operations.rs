//! Every operation of the host, room by room.

use crate::ops::Ops;

pub fn all() -> Ops {
    let mut ops = Ops::default();
    crate::clock::register(&mut ops);
    crate::commands::register(&mut ops);
    crate::consoles::register(&mut ops);
    crate::devices::register(&mut ops);
    crate::files::register(&mut ops);
    crate::link::register(&mut ops);
    crate::modules::register(&mut ops);
    crate::mounts::register(&mut ops);
    crate::network::register(&mut ops);
    crate::packages::register(&mut ops);
    crate::pipeline::register(&mut ops);
    crate::processes::register(&mut ops);
    ops
}
