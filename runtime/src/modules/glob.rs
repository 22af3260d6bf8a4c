//! Patterns of modules.alias: fnmatch(3) without flags, as libkmod uses it, with `-` and `_` the same outside of `[…]`.

/// `-` becomes `_`, except in classes, where it makes a range.
pub fn fold(bytes: &mut [u8]) {
    let mut class = false;
    for byte in bytes {
        match *byte {
            b'[' => class = true,
            b']' => class = false,
            b'-' if !class => *byte = b'_',
            _ => {}
        }
    }
}

/// How long the part is that a name must begin with.
pub fn literal(pattern: &[u8]) -> usize {
    pattern.iter().position(|byte| matches!(byte, b'*' | b'?' | b'[' | b'\\')).unwrap_or(pattern.len())
}

/// Both folded. Only the last `*` is ever tried again, so a pattern costs at most its length times the name's.
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() || p < pattern.len() {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            retry = Some((p, n));
            continue;
        }
        if let Some(width) = name.get(n).and_then(|byte| one(&pattern[p..], *byte)) {
            p += width;
            n += 1;
            continue;
        }
        match retry {
            Some((after, from)) if from < name.len() => {
                (p, n) = (after, from + 1);
                retry = Some((after, from + 1));
            }
            _ => return false,
        }
    }
    true
}

/// The width of the pattern's first element when it takes this byte.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match *pattern.first()? {
        b'?' => Some(1),
        b'[' => match class(pattern, byte) {
            Some((width, inside)) => inside.then_some(width),
            // A bracket that is never closed is itself.
            None => (byte == b'[').then_some(1),
        },
        b'\\' if pattern.len() > 1 => (pattern[1] == byte).then_some(2),
        plain => (plain == byte).then_some(1),
    }
}

/// The width of a class and whether it holds the byte; None when it does not end.
fn class(pattern: &[u8], byte: u8) -> Option<(usize, bool)> {
    let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    let first = if negated { 2 } else { 1 };
    let (mut at, mut inside) = (first, false);
    loop {
        let low = *pattern.get(at)?;
        if low == b']' && at > first {
            return Some((at + 1, inside != negated));
        }
        let high = match pattern.get(at + 1..at + 3) {
            Some([b'-', high]) if *high != b']' => {
                at += 2;
                *high
            }
            _ => low,
        };
        inside |= (low..=high).contains(&byte);
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(pattern: &str, name: &str) -> bool {
        let (mut pattern, mut name) = (pattern.as_bytes().to_vec(), name.as_bytes().to_vec());
        fold(&mut pattern);
        fold(&mut name);
        matches(&pattern, &name)
    }

    #[test]
    fn matches_as_fnmatch_does() {
        for (pattern, name, expected) in [
            (
                "pci:v00008086d0000100Esv*sd*bc*sc*i*",
                "pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00",
                true,
            ),
            (
                "pci:v00008086d0000100Esv*sd*bc*sc*i*",
                "pci:v00008086d0000100Fsv00001AF4sd00001100bc02sc00i00",
                false,
            ),
            ("virtio:d00000001v*", "virtio:d00000001v00001AF4", true),
            (
                "usb:v*p*d*dc*dsc*dp*ic08isc06ip50in*",
                "usb:v46F4p0001d0000dc00dsc00dp00ic08isc06ip50in00",
                true,
            ),
            (
                "usb:v*p*d*dc*dsc*dp*ic08isc06ip50in*",
                "usb:v46F4p0001d0000dc00dsc00dp00ic08isc06ip62in00",
                false,
            ),
            ("acpi*:PNP0A08:*", "acpi:PNP0A08:PNP0A03:", true),
            ("platform:reg-dummy", "platform:reg_dummy", true),
            ("platform:reg_dummy", "platform:reg-dummy", true),
            ("usb:v04B4p861[0-9]d*", "usb:v04B4p8613d0001", true),
            ("usb:v04B4p861[0-9]d*", "usb:v04B4p861Ad0001", false),
            ("usb:v04B4p861[0-9]d*", "usb:v04B4p861-d0001", false),
            ("a[!b]c", "abc", false),
            ("a[!b]c", "adc", true),
            ("a[]b]c", "a]c", true),
            ("a[b", "a[b", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a\\*c", "a*c", true),
            ("a\\*c", "abc", false),
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "a/b.c", true),
            ("a*", "", false),
            ("*a*b", "xaxbxb", true),
            ("*a*b", "xaxbxc", false),
            ("of:N*T*Cvirtio,mmioC*", "of:NxTyCvirtio,mmio", false),
        ] {
            assert_eq!(glob(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_end_soon() {
        assert!(!glob(&"*a".repeat(50), &"a".repeat(4000).replace("aa", "ab")[..49]));
    }
}
