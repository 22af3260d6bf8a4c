//! A thrown JavaScript value as text for a person: the message, the chain of causes, the advice.

use rquickjs::{Ctx, Object, Value};

/// A chain longer than this says nothing more.
const CAUSES: usize = 10;

/// Errors that only a mistake in the program makes: where it happened is worth a line.
const MISTAKES: [&str; 6] =
    ["TypeError", "ReferenceError", "RangeError", "SyntaxError", "InternalError", "AggregateError"];

/// `stack`: the whole stack, for who debugs init.
pub fn describe<'js>(ctx: &Ctx<'js>, thrown: Value<'js>, stack: bool) -> String {
    let (mut lines, mut advice) = (Vec::new(), Vec::new());
    let mut at = thrown;
    for depth in 0..CAUSES {
        let Some(error) = at.as_object().filter(|_| at.is_error()).cloned() else {
            lines.push(prefix(depth, &plain(ctx, at)));
            break;
        };
        lines.push(prefix(depth, &headline(&error)));
        for line in texts(&error, "detail") {
            lines.push(format!("    {line}"));
        }
        advice.extend(texts(&error, "advice").into_iter().map(|line| format!("  {line}")));
        let trace = text(&error, "stack").unwrap_or_default();
        let mistake = text(&error, "name").is_some_and(|name| MISTAKES.contains(&name.as_str()));
        let shown = if stack { usize::MAX } else { usize::from(mistake) };
        lines.extend(trace.lines().take(shown).map(|line| format!("    {}", line.trim())));
        match error.get::<_, Value>("cause") {
            Ok(cause) if !cause.is_undefined() && !cause.is_null() => at = cause,
            _ => break,
        }
    }
    // An exception thrown while describing one is not worth more than what we have.
    let _ = ctx.catch();
    lines.append(&mut advice);
    lines.join("\n")
}

fn prefix(depth: usize, line: &str) -> String {
    if depth == 0 { line.to_owned() } else { format!("  because: {line}") }
}

fn text(error: &Object<'_>, key: &str) -> Option<String> {
    error.get::<_, rquickjs::String>(key).ok()?.to_string().ok()
}

fn texts(error: &Object<'_>, key: &str) -> Vec<String> {
    error.get::<_, Vec<String>>(key).unwrap_or_default()
}

fn headline(error: &Object<'_>) -> String {
    let message = text(error, "message").unwrap_or_default();
    match text(error, "name") {
        Some(name) if !["Error", "BootError", "SysError"].contains(&name.as_str()) => {
            format!("{name}: {message}")
        }
        _ => message,
    }
}

/// What is thrown need not be an Error; QuickJS throws null when not even an Error fits in memory.
fn plain<'js>(ctx: &Ctx<'js>, value: Value<'js>) -> String {
    if value.is_null() {
        return "out of memory, or null was thrown".to_owned();
    }
    if let Some(text) = value.as_string().and_then(|text| text.to_string().ok()) {
        return text;
    }
    match ctx.json_stringify(value) {
        Ok(Some(json)) => format!("a thrown {}", json.to_string().unwrap_or_default()),
        _ => "a thrown value that has no text".to_owned(),
    }
}
