//! The same for people who would rather look than read: a bar for each way to a function that is ready.

use std::fmt::Write as _;

use super::cold::COLD;
use super::competitors::{
    BUN, BUN_COPIED, BUN_LINKED, CARGO, GO, JAVAC, MAVEN, NPM_WARM, PIP_WARM, PNPM_COPIED, UV, UV_COPIED,
    UV_COPIED_COMPILED, UV_LINKED, kubeless,
};
use super::edit::warm;
use super::functions::{FUNCTIONS, Function, Language};
use super::results::Results;
use super::warm::{CLUSTER, MOUNT, NODE};

/// In pixels.
const WIDTH: f64 = 960.0;
const GUTTER: f64 = 300.0;
const RIGHT: f64 = 90.0;
const BAR: f64 = 12.0;
const STEP: f64 = 15.0;
const TITLE: f64 = 30.0;
const HEAD: f64 = 122.0;
/// What the axis begins and ends with, as powers of ten of a second.
const DECADES: (i32, i32) = (-3, 2);

/// The bars of each function: how it is drawn, and what the legend says.
const KINDS: [(&str, &str); 6] = [
    ("kubeless", "Kubeless’ command"),
    ("tool", "the fastest tool, all cached"),
    ("cold", "injector, nothing cached"),
    ("registry", "injector, the cluster’s registry"),
    ("node", "injector, the node’s cache"),
    ("mount", "injector, mounted"),
];

/// Colours in light and in dark, of the page and of the bars.
const STYLE: &str = "\
text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:#1f2328}\
.page{fill:#ffffff}.h{font-size:17px;font-weight:600}.t{font-size:13px;font-weight:600}.m{fill:#59636e;font-size:11px}\
.v{font-size:11px}.grid{stroke:#d1d9e0;stroke-width:1}\
.kubeless{fill:#a0a7b0}.tool{fill:#c99a2e}.cold{fill:#d1603d}.registry{fill:#8f6bc7}.node{fill:#2f7ed8}.mount{fill:#2a9d62}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.page{fill:#0d1117}.m{fill:#9198a1}.grid{stroke:#30363d}\
.kubeless{fill:#6e7681}.tool{fill:#d4a72c}.cold{fill:#e8744f}.registry{fill:#a584dc}.node{fill:#4a9bf0}.mount{fill:#3fb877}}";

/// A bar: what it is of, and how long it is.
struct Bar {
    kind: &'static str,
    label: String,
    seconds: Option<f64>,
}

/// The drawing, as SVG.
pub(super) fn draw(results: &Results) -> String {
    let shown: Vec<(&Function, Vec<Bar>)> = FUNCTIONS
        .iter()
        .map(|function| (function, bars(results, function)))
        .filter(|(_, bars)| bars.iter().any(|bar| bar.seconds.is_some()))
        .collect();
    let (mut groups, mut top) = (String::new(), HEAD);
    for (function, bars) in &shown {
        top += TITLE;
        let title = escaped(function.title);
        let _ = writeln!(groups, "<text class='t' x='20' y='{:.1}'>{title}</text>", top - 8.0);
        for bar in bars {
            bar.draw(&mut groups, top);
            top += STEP;
        }
    }
    let bottom = top + 8.0;
    let height = bottom + 34.0;
    let mut svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' height='{height}' \
         role='img' aria-label='How long a pod waits for its function'>\n<style>{STYLE}</style>\n\
         <rect class='page' width='100%' height='100%'/>\n\
         <text class='h' x='20' y='32'>How long a pod waits for its function</text>\n\
         <text class='m' x='20' y='51'>Seconds, each line ten times the one before; shorter is better. Medians on {}.</text>\n",
        escaped(&results.machine)
    );
    legend(&mut svg);
    axis(&mut svg, bottom);
    svg.push_str(&groups);
    svg.push_str("</svg>\n");
    svg
}

fn bars(results: &Results, function: &Function) -> Vec<Bar> {
    let kubeless = kubeless(function.language);
    let fastest = rivals(function.language)
        .into_iter()
        .filter_map(|who| Some((results.median(function.name, &who)?, who)))
        .min_by(|one, other| one.0.total_cmp(&other.0));
    let found = [
        (kubeless.to_owned(), results.median(function.name, kubeless)),
        fastest.map_or(("the fastest tool".to_owned(), None), |(time, who)| (who, Some(time))),
        ("injector, nothing cached".to_owned(), results.median(function.name, COLD)),
        ("injector, registry".to_owned(), results.median(function.name, CLUSTER)),
        ("injector, node’s cache".to_owned(), results.median(function.name, NODE)),
        ("injector, mounted".to_owned(), results.median(function.name, MOUNT)),
    ];
    let bar = |((kind, _), (label, seconds))| Bar { kind, label, seconds };
    KINDS.into_iter().zip(found).map(bar).collect()
}

/// Those of whom the fastest is drawn. What compiles has its caches for an edit.
fn rivals(language: Language) -> Vec<String> {
    let of = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    match language {
        Language::Python => of(&[PIP_WARM, UV, UV_COPIED, UV_COPIED_COMPILED, UV_LINKED]),
        Language::Nodejs => of(&[NPM_WARM, PNPM_COPIED, BUN, BUN_COPIED, BUN_LINKED]),
        Language::Go => vec![warm(GO)],
        Language::Rust => vec![warm(CARGO)],
        Language::Java => vec![warm(MAVEN), warm(JAVAC)],
    }
}

fn legend(svg: &mut String) {
    for (number, (kind, text)) in KINDS.into_iter().enumerate() {
        let (x, y) = (20 + number % 3 * 240, 68 + number / 3 * 20);
        let _ = writeln!(
            svg,
            "<rect class='{kind}' x='{x}' y='{y}' width='12' height='12' rx='2'/>\
             <text class='v' x='{}' y='{}'>{text}</text>",
            x + 18,
            y + 10
        );
    }
}

fn axis(svg: &mut String, bottom: f64) {
    for decade in DECADES.0..=DECADES.1 {
        let x = place(10_f64.powi(decade));
        let _ = writeln!(
            svg,
            "<line class='grid' x1='{x:.1}' x2='{x:.1}' y1='{}' y2='{bottom}'/>\
             <text class='m' x='{x:.1}' y='{}' text-anchor='middle'>{}</text>",
            HEAD + 6.0,
            bottom + 18.0,
            match decade {
                -3 => "1 ms",
                -2 => "10 ms",
                -1 => "100 ms",
                0 => "1 s",
                1 => "10 s",
                _ => "100 s",
            }
        );
    }
}

impl Bar {
    fn draw(&self, svg: &mut String, top: f64) {
        let base = top + BAR - 2.5;
        let label = escaped(&self.label);
        let _ = write!(
            svg,
            "<text class='m' x='{}' y='{base:.1}' text-anchor='end'>{label}</text>",
            GUTTER - 8.0
        );
        let Some(seconds) = self.seconds else {
            let _ = writeln!(svg, "<text class='m' x='{}' y='{base:.1}'>not measured</text>", GUTTER + 4.0);
            return;
        };
        let end = place(seconds);
        let _ = writeln!(
            svg,
            "<rect class='{}' x='{GUTTER}' y='{top:.1}' width='{:.1}' height='{BAR}' rx='2'/>\
             <text class='v' x='{:.1}' y='{base:.1}'>{}</text>",
            self.kind,
            (end - GUTTER).max(1.0),
            end + 5.0,
            spoken(seconds)
        );
    }
}

/// Where a time is on the axis.
fn place(seconds: f64) -> f64 {
    let (first, last) = (f64::from(DECADES.0), f64::from(DECADES.1));
    let share = (seconds.log10().clamp(first, last) - first) / (last - first);
    GUTTER + share * (WIDTH - GUTTER - RIGHT)
}

/// A time with its unit.
pub(super) fn spoken(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 0.01 => format!("{:.1} ms", seconds * 1e3),
        seconds if seconds < 1.0 => format!("{:.0} ms", seconds * 1e3),
        seconds if seconds < 10.0 => format!("{seconds:.1} s"),
        seconds => format!("{seconds:.0} s"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('\'', "&#39;")
}
