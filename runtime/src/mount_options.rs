//! The options of a mount as fstab(5) and mount(8) name them, sorted: attributes of the mount, flags of the file
//! system, its own parameters, and words that are for others.

use rustix::mount::{MountAttrFlags, MountFlags};

#[derive(Debug, PartialEq)]
pub struct Options {
    /// For fsmount(2).
    pub attributes: MountAttrFlags,
    /// The same and the file system's, for mount(2).
    pub flags: MountFlags,
    /// For fsconfig(2), the file system's flags included: a value, or none.
    pub parameters: Vec<(String, Option<String>)>,
    /// The file system's own, for mount(2)'s data.
    pub own: Vec<String>,
    /// `bind`: the attributes of this mount only.
    pub bind: bool,
    /// `rbind`.
    pub recursive: bool,
}

/// Words for mount(8), the init system, or a daemon. The kernel would refuse them.
fn for_others(word: &str) -> bool {
    const WORDS: [&str; 11] = [
        "defaults", "auto", "noauto", "user", "nouser", "users", "nousers", "owner", "group", "nofail",
        "_netdev",
    ];
    WORDS.contains(&word) || word.starts_with("x-") || word.starts_with("comment=")
}

impl Options {
    pub fn parse(words: &[String]) -> Self {
        let mut options = Options {
            attributes: MountAttrFlags::empty(),
            flags: MountFlags::empty(),
            parameters: Vec::new(),
            own: Vec::new(),
            bind: false,
            recursive: false,
        };
        for word in words.iter().flat_map(|words| words.split(',')) {
            options.add(word);
        }
        options
    }

    fn add(&mut self, word: &str) {
        let (attribute, flag) = match word {
            "ro" => (MountAttrFlags::MOUNT_ATTR_RDONLY, MountFlags::RDONLY),
            "nosuid" => (MountAttrFlags::MOUNT_ATTR_NOSUID, MountFlags::NOSUID),
            "nodev" => (MountAttrFlags::MOUNT_ATTR_NODEV, MountFlags::NODEV),
            "noexec" => (MountAttrFlags::MOUNT_ATTR_NOEXEC, MountFlags::NOEXEC),
            "noatime" => (MountAttrFlags::MOUNT_ATTR_NOATIME, MountFlags::NOATIME),
            "nodiratime" => (MountAttrFlags::MOUNT_ATTR_NODIRATIME, MountFlags::NODIRATIME),
            "strictatime" => (MountAttrFlags::MOUNT_ATTR_STRICTATIME, MountFlags::STRICTATIME),
            "relatime" => (MountAttrFlags::empty(), MountFlags::RELATIME),
            "rw" => return self.clear(MountAttrFlags::MOUNT_ATTR_RDONLY, MountFlags::RDONLY),
            "suid" => return self.clear(MountAttrFlags::MOUNT_ATTR_NOSUID, MountFlags::NOSUID),
            "dev" => return self.clear(MountAttrFlags::MOUNT_ATTR_NODEV, MountFlags::NODEV),
            "exec" => return self.clear(MountAttrFlags::MOUNT_ATTR_NOEXEC, MountFlags::NOEXEC),
            "atime" => return self.clear(MountAttrFlags::MOUNT_ATTR_NOATIME, MountFlags::NOATIME),
            "diratime" => return self.clear(MountAttrFlags::MOUNT_ATTR_NODIRATIME, MountFlags::NODIRATIME),
            "sync" => return self.file_system(word, MountFlags::SYNCHRONOUS),
            "dirsync" => return self.file_system(word, MountFlags::DIRSYNC),
            "lazytime" => return self.file_system(word, MountFlags::LAZYTIME),
            "bind" | "rbind" => {
                self.bind = true;
                self.recursive |= word == "rbind";
                return;
            }
            "remount" | "async" | "nolazytime" | "norelatime" | "nostrictatime" | "" => return,
            _ if for_others(word) => return,
            _ => return self.own(word),
        };
        self.attributes |= attribute;
        self.flags |= flag;
        if word == "ro" {
            // A read-only file system, not only a read-only view of it.
            self.parameters.push((word.to_owned(), None));
        }
    }

    /// The last of two that contradict each other counts.
    fn clear(&mut self, attribute: MountAttrFlags, flag: MountFlags) {
        self.attributes.remove(attribute);
        self.flags.remove(flag);
        if flag == MountFlags::RDONLY {
            self.parameters.retain(|(name, _)| name != "ro");
        }
    }

    fn file_system(&mut self, word: &str, flag: MountFlags) {
        self.flags |= flag;
        self.parameters.push((word.to_owned(), None));
    }

    fn own(&mut self, word: &str) {
        self.own.push(word.to_owned());
        self.parameters.push(match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word.to_owned(), None),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Options {
        Options::parse(&[text.to_owned()])
    }

    #[test]
    fn fstab_options() {
        let options = parse("defaults,nosuid,ro,size=10%,x-systemd.automount,nofail,discard,sync");
        assert_eq!(options.flags, MountFlags::NOSUID | MountFlags::RDONLY | MountFlags::SYNCHRONOUS);
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_RDONLY;
        assert_eq!(options.attributes, attributes);
        assert_eq!(options.own, ["size=10%", "discard"]);
        let names: Vec<&str> = options.parameters.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["ro", "size", "discard", "sync"]);
    }

    #[test]
    fn what_nfs_and_overlay_need_reaches_them_whole() {
        let text =
            "vers=4.2,addr=10.0.0.1,clientaddr=10.0.0.2,proto=tcp,mountproto=tcp,nolock,ro,hard,_netdev";
        let options = parse(text);
        let value = |text: &str| Some(text.to_owned());
        let parameters = [
            ("vers".to_owned(), value("4.2")),
            ("addr".to_owned(), value("10.0.0.1")),
            ("clientaddr".to_owned(), value("10.0.0.2")),
            ("proto".to_owned(), value("tcp")),
            ("mountproto".to_owned(), value("tcp")),
            ("nolock".to_owned(), None),
            ("ro".to_owned(), None),
            ("hard".to_owned(), None),
        ];
        assert_eq!(options.parameters, parameters);
        let options = parse("lowerdir=/a=b:/c,upperdir=/u,workdir=/w,index=off");
        assert_eq!(options.parameters[0], ("lowerdir".to_owned(), value("/a=b:/c")));
        assert_eq!(options.own.len(), 4);
    }

    #[test]
    fn the_last_word_counts() {
        assert_eq!(parse("ro,nosuid,rw,suid"), parse("defaults"));
        assert!(parse("rw,ro").flags.contains(MountFlags::RDONLY));
    }
}
