//! The table of an index, against its definition and against its limits.

use super::super::table::Table;

/// Numbers that are the same each time: a linear congruential generator's (Knuth's MMIX).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % limit
    }

    fn name(&mut self) -> String {
        format!("name{}", self.below(40))
    }

    fn words(&mut self, marks: &[&str]) -> String {
        let count = self.below(4);
        let word = |numbers: &mut Self| {
            let mark = marks[numbers.below(marks.len() as u64) as usize];
            let name = numbers.name();
            if mark == "!" { format!("!{name}") } else { format!("{name}{mark}") }
        };
        (0..count).map(|_| word(self)).collect::<Vec<_>>().join(" ")
    }

    fn stanza(&mut self) -> String {
        let name = self.name();
        let provides = self.words(&["", "=1", "=2.1-r0"]);
        let install_if = self.words(&["", "=1", ">=2", "~3", "!"]);
        let mut lines = vec!["C:Q1".to_owned(), "V:1".to_owned(), "T:p:name1 i:name2".to_owned()];
        // Nobody promised an order; and what has no name is no package.
        let here = self.below(3) as usize;
        if self.below(10) > 0 {
            lines.insert(here, format!("P:{name}"));
        }
        if !provides.is_empty() {
            lines.push(format!("p:{provides}"));
        }
        if !install_if.is_empty() {
            lines.insert(here, format!("i:{install_if}"));
        }
        lines.join("\n")
    }
}

fn field<'a>(stanza: &'a str, letter: &str) -> Option<&'a str> {
    stanza.lines().rev().find_map(|line| line.strip_prefix(letter))
}

fn is_named(names: &[String], word: &str) -> bool {
    let end = word.find(['=', '>', '~']).unwrap_or(word.len());
    names.iter().any(|name| name == &word[..end])
}

/// What `Packages.lookup` promises.
fn answers(stanza: &str, names: &[String]) -> bool {
    is_named(names, field(stanza, "P:").unwrap_or_default())
        || field(stanza, "p:").unwrap_or_default().split(' ').any(|word| is_named(names, word))
}

/// What `Packages.installIf` promises.
fn matters(stanza: &str, names: &[String]) -> bool {
    let holds = |word: &str| word.starts_with('!') || is_named(names, word);
    field(stanza, "i:").is_some_and(|all| all.split(' ').all(holds) || answers(stanza, names))
}

#[test]
fn a_table_answers_as_promised_however_its_text_came() {
    for seed in 0..40 {
        let mut numbers = Numbers(seed);
        let stanzas: Vec<String> = (0..60).map(|_| numbers.stanza()).collect();
        let text = stanzas.join("\n\n") + ["", "\n", "\n\n", "\n\n\n"][(seed % 4) as usize];
        let packages: Vec<&str> =
            stanzas.iter().map(String::as_str).filter(|stanza| field(stanza, "P:").is_some()).collect();
        let mut table = Table::new();
        let mut end = 0;
        while end < text.len() {
            end =
                text.len().min(end + 1 + numbers.below([1, 9, 500, 9000][(seed / 4 % 4) as usize]) as usize);
            table.advance(&text.as_bytes()[..end]).expect("small");
        }
        table.finish(text.as_bytes()).expect("small");
        assert_eq!(table.packages(), packages.len(), "seed {seed}");
        for _ in 0..40 {
            let names: Vec<String> = (0..numbers.below(9)).map(|_| numbers.name()).collect();
            let told = |places: Vec<std::ops::Range<usize>>| -> Vec<&str> {
                places.into_iter().map(|place| &text[place]).collect()
            };
            let wanted = |is: fn(&str, &[String]) -> bool| -> Vec<&str> {
                packages.iter().copied().filter(|stanza| is(stanza, &names)).collect()
            };
            let found = told(table.lookup(text.as_bytes(), &names));
            assert_eq!(found, wanted(answers), "seed {seed}, {names:?}");
            let found = told(table.install_if(text.as_bytes(), &names));
            assert_eq!(found, wanted(matters), "seed {seed}, {names:?}");
        }
    }
}

#[test]
fn more_packages_or_names_than_anybody_has_are_refused_with_the_number() {
    let reason = |text: String| {
        let mut table = Table::new();
        table.advance(text.as_bytes()).expect_err("too many")
    };
    assert_eq!(reason("P:a\n\n".repeat((1 << 18) + 1)), "it has more than 262144 packages");
    let names = format!("P:a\np:{}\n\n", "a ".repeat(1 << 20));
    assert_eq!(reason(names), "its packages have more than 1048576 names");
}

#[test]
fn a_line_without_an_end_is_searched_once() {
    let text = vec![b'a'; 8 << 20];
    let (mut table, began) = (Table::new(), std::time::Instant::now());
    for end in (0..text.len()).step_by(64) {
        table.advance(&text[..end]).expect("no package");
    }
    // Searched again with each part, it would be half a terabyte.
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
}
