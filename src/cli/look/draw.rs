//! What stands where on the screen. It computes no number: it lays out what the model says.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, LineGauge, Paragraph, Sparkline, Wrap};

use crate::live::{LevelGroup, LineKind, Live, Now, Recent, StageState, State};

/// From this size on, there is room for charts beside the numbers.
const WIDE: (u16, u16) = (120, 36);
/// Points of a chart that may be drawn; a screen has fewer columns.
const MOST_COLUMNS: usize = 400;
/// Height in which a chart's highest value is drawn.
const SCALE: f64 = 1000.0;

const QUIET: Style = Style::new().fg(Color::DarkGray);
const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);
const BAD: Style = Style::new().fg(Color::Red);
const GOOD: Style = Style::new().fg(Color::Green);
const MARKED: Style = Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD);

/// The charts of a wide screen: panel, line, title.
const CHARTS: [(&str, &str, &str); 6] = [
    ("load", "offered", "offered"),
    ("load", "goodput", "successful"),
    ("response", "p99", "p99"),
    ("errors", "failed", "failed"),
    ("in-flight", "in flight", "in flight"),
    ("cpu", "target", "CPU of the target"),
];

/// What the person was asked, or asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    None,
    /// Whether the run shall end.
    End,
    /// The keys are explained.
    Help,
}

/// The newest values of a line, scaled for drawing.
pub(super) struct Trend {
    title: &'static str,
    recent: Recent,
}

/// Everything that is drawn.
pub(super) struct View<'a> {
    pub(super) now: &'a Now,
    pub(super) trends: &'a [Trend],
    pub(super) question: Question,
    pub(super) can_pause: bool,
    pub(super) is_paused: bool,
    /// Where the page is.
    pub(super) url: Option<&'a str>,
}

/// The charts of a wide screen.
pub(super) fn trends(live: &Live) -> Vec<Trend> {
    let trend =
        |(panel, line, title)| Trend { title, recent: live.recent(panel, line, MOST_COLUMNS) };
    let trends = CHARTS.into_iter().map(trend);
    trends.filter(|trend| trend.recent.values.iter().any(Option::is_some)).collect()
}

/// Draws the screen.
pub(super) fn draw(frame: &mut Frame<'_>, view: &View<'_>) {
    let area = frame.area();
    let is_wide = area.width >= WIDE.0 && area.height >= WIDE.1;
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(3), Constraint::Min(0), Constraint::Length(1)])
            .areas(area);
    draw_head(frame, head, view);
    if is_wide {
        let [left, right] =
            Layout::horizontal([Constraint::Percentage(55), Constraint::Percentage(45)])
                .areas(body);
        draw_body(frame, left, view.now);
        draw_trends(frame, right, view.trends);
    } else {
        draw_body(frame, body, view.now);
    }
    frame.render_widget(Paragraph::new(keys(view)), foot);
    if view.question == Question::Help {
        draw_help(frame, area, view);
    }
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
    let now = view.now;
    let [title, stage, plan] = Layout::vertical([Constraint::Length(1); 3]).areas(area);
    let state = match now.state {
        State::Paused => Style::new().fg(Color::Yellow).add_modifier(Modifier::BOLD),
        _ => MARKED,
    };
    let name = Line::from(vec![
        Span::styled("kneepoint ", STRONG),
        Span::raw(format!("{} ", now.title)),
        Span::styled(format!("{} ", now.at.text), STRONG),
        Span::styled(now.state_text.clone(), state),
        Span::styled(format!("  {}", now.target), QUIET),
    ]);
    frame.render_widget(Paragraph::new(name), title);
    if let Some(current) = &now.stage {
        let of = current.of.map(|of| format!(" of {of}")).unwrap_or_default();
        let text = format!(
            "stage {}{of}: {}, {}, {} ",
            current.number, current.role, current.load, current.left
        );
        let gauge = LineGauge::default()
            .label(text)
            .ratio(current.share.clamp(0.0, 1.0))
            .filled_style(MARKED)
            .unfilled_style(QUIET);
        frame.render_widget(gauge, stage);
    }
    frame.render_widget(Paragraph::new(stages(now, usize::from(plan.width))), plan);
}

/// The stages in a line, so that the one that is held can be seen.
fn stages(now: &Now, width: usize) -> Line<'static> {
    let current = now.stages.iter().position(|stage| stage.state == StageState::Now);
    let texts: Vec<String> = now.stages.iter().map(|stage| format!(" {} ", stage.short)).collect();
    let here = current.unwrap_or(texts.len().saturating_sub(1));
    // As many before it as fit into two thirds of the line.
    let (mut from, mut taken) = (here, 0);
    while from > 0 && taken + texts[from - 1].len() < width * 2 / 3 {
        from -= 1;
        taken += texts[from].len();
    }
    let mut spans = vec![Span::styled(if from > 0 { "…" } else { "" }, QUIET)];
    spans.extend(now.stages.iter().zip(texts).skip(from).map(|(stage, text)| {
        let style = match stage.state {
            StageState::Done => Style::new(),
            StageState::Now => MARKED.add_modifier(Modifier::REVERSED),
            StageState::Ahead => QUIET,
        };
        Span::styled(text, style)
    }));
    Line::from(spans)
}

fn draw_body(frame: &mut Frame<'_>, area: Rect, now: &Now) {
    let levels = levels(now, usize::from(area.width));
    let errors = if now.errors.is_empty() { 0 } else { 1 };
    let has_room = area.height >= 24;
    let suspects = suspects(now);
    // On a small screen, what is suspected takes no more than a third.
    let most = if has_room { 12 } else { area.height.saturating_sub(4) / 3 };
    let wanted = wrapped_height(&suspects, area.width) + 1;
    let [numbers, level, error, suspected, said] = Layout::vertical([
        Constraint::Length(4),
        Constraint::Length((levels.len() as u16).min(if has_room { 12 } else { 4 })),
        Constraint::Length(errors),
        Constraint::Length(wanted.min(most.max(2))),
        Constraint::Min(0),
    ])
    .areas(area);
    frame.render_widget(rule(" last second ").title_style(STRONG), numbers);
    frame.render_widget(Paragraph::new(number_lines(now)), below(numbers));
    frame.render_widget(Paragraph::new(levels), level);
    if errors > 0 {
        frame.render_widget(Paragraph::new(error_line(now)), error);
    }
    frame.render_widget(rule(" suspected so far (preliminary) ").title_style(STRONG), suspected);
    let text = Paragraph::new(suspects).wrap(Wrap { trim: true });
    frame.render_widget(text, below(suspected));
    frame.render_widget(rule(" said ").title_style(STRONG), said);
    frame.render_widget(Paragraph::new(said_lines(now, below(said).height)), below(said));
}

fn rule(title: &'static str) -> Block<'static> {
    Block::new().borders(Borders::TOP).border_style(QUIET).title(title)
}

/// The part of an area below its first line.
fn below(area: Rect) -> Rect {
    let line = area.height.min(1);
    Rect { y: area.y + line, height: area.height - line, ..area }
}

/// The numbers in three columns, as they belong together.
fn number_lines(now: &Now) -> Vec<Line<'static>> {
    const ROWS: [[&str; 3]; 3] = [
        ["offered", "p50", "in_flight"],
        ["completed", "p95", "backlog"],
        ["failed", "p99", "succeeded"],
    ];
    if now.numbers.is_empty() {
        return vec![Line::styled("no second is over yet", QUIET)];
    }
    let cell = |id: &str, width: usize| {
        let row = now.number(id);
        let (name, text) = row.map_or(("", ""), |row| (row.name, row.shown.text.as_str()));
        let is_bad = id == "failed" && row.is_some_and(|row| row.shown.value > Some(0.0));
        let style = if is_bad { BAD.add_modifier(Modifier::BOLD) } else { STRONG };
        let name_width = width.saturating_sub(15);
        [
            Span::styled(format!("{name:name_width$}"), QUIET),
            Span::styled(format!("{text:<15}"), style),
        ]
    };
    let line = |[a, b, c]: [&str; 3]| {
        Line::from(
            [cell(a, 27), cell(b, 20), cell(c, 35)].into_iter().flatten().collect::<Vec<_>>(),
        )
    };
    ROWS.into_iter().map(line).collect()
}

/// CPU in one line, then a line for each pool.
fn levels(now: &Now, width: usize) -> Vec<Line<'static>> {
    let mut cpu = vec![Span::styled("CPU ", STRONG)];
    for row in now.levels.iter().filter(|row| row.group == LevelGroup::Cpu) {
        let of = row.limit.as_ref().map(|limit| format!(" of {}", limit.text)).unwrap_or_default();
        cpu.push(Span::styled(format!(" {} ", row.name), QUIET));
        cpu.push(Span::styled(format!("{}{of} ", row.used.text), full(row.share)));
    }
    let mut lines = Vec::new();
    if cpu.len() > 1 {
        lines.push(Line::from(cpu));
    }
    for row in now.levels.iter().filter(|row| row.group == LevelGroup::Pool) {
        let of = row.limit.as_ref().map(|limit| format!(" of {}", limit.text)).unwrap_or_default();
        let bar = row.share.map(|share| bar(share, if width > 90 { 20 } else { 10 }));
        lines.push(Line::from(vec![
            Span::styled(format!("{} ", row.name), QUIET),
            Span::styled(format!("{}{of} ", row.used.text), full(row.share)),
            Span::styled(bar.unwrap_or_default(), full(row.share)),
            Span::styled(format!(" {}", row.waiting), BAD),
        ]));
    }
    lines
}

/// Red from where next to nothing is left.
fn full(share: Option<f64>) -> Style {
    /// Nearly all of it is in use.
    const NEARLY_ALL: f64 = 0.95;
    if share >= Some(NEARLY_ALL) { BAD.add_modifier(Modifier::BOLD) } else { STRONG }
}

fn bar(share: f64, width: usize) -> String {
    let filled = ((share.clamp(0.0, 1.0) * width as f64).round() as usize).min(width);
    format!("{}{}", "█".repeat(filled), "░".repeat(width - filled))
}

fn error_line(now: &Now) -> Line<'static> {
    let mut spans = vec![Span::styled("failed ", STRONG)];
    for row in &now.errors {
        spans.push(Span::styled(format!(" {} ", row.class), QUIET));
        spans.push(Span::styled(format!("{} ({}) ", row.total, row.rate.text), BAD));
    }
    Line::from(spans)
}

fn suspects(now: &Now) -> Vec<Line<'static>> {
    let Some(suspects) = &now.suspects else {
        return vec![Line::styled("nothing is judged yet", QUIET)];
    };
    let mut lines = vec![Line::from(vec![
        Span::styled(format!("as of {}: ", suspects.until.text), QUIET),
        Span::raw(suspects.headline.clone()),
    ])];
    lines.extend(suspects.findings.iter().map(|(title, role, sure)| {
        Line::from(vec![
            Span::styled("• ", MARKED),
            Span::styled(title.clone(), STRONG),
            Span::styled(format!(" {role}, confidence {sure}"), QUIET),
        ])
    }));
    lines
}

fn wrapped_height(lines: &[Line<'_>], width: u16) -> u16 {
    let rows = lines.iter().map(|line| line.width().div_ceil(usize::from(width).max(1)).max(1));
    // Words that do not fit move on: a line more now and then.
    (rows.sum::<usize>() + 1) as u16
}

/// The newest lines, the newest last.
fn said_lines(now: &Now, height: u16) -> Vec<Line<'static>> {
    let from = now.lines.len().saturating_sub(usize::from(height));
    let line = |line: &crate::live::LogLine| {
        let style = match line.kind {
            LineKind::Failure | LineKind::Gap => BAD,
            LineKind::Event => GOOD,
            LineKind::Log => Style::new(),
        };
        let count = if line.count > 1 { format!("{}× ", line.count) } else { String::new() };
        Line::from(vec![
            Span::styled(format!("{:>8} ", line.at.text), QUIET),
            Span::styled(format!("{:<7}", line.kind.name()), style),
            Span::styled(count, STRONG),
            Span::raw(line.text.clone()),
        ])
    };
    now.lines[from..].iter().map(line).collect()
}

fn draw_trends(frame: &mut Frame<'_>, area: Rect, trends: &[Trend]) {
    if trends.is_empty() {
        return;
    }
    let share = Constraint::Ratio(1, trends.len() as u32);
    let areas = Layout::vertical(vec![share; trends.len()]).split(area);
    for (trend, area) in trends.iter().zip(areas.iter()) {
        let block = Block::new().borders(Borders::TOP | Borders::LEFT).border_style(QUIET).title(
            Line::from(vec![
                Span::styled(format!(" {} {} ", trend.title, trend.recent.newest.text), STRONG),
                Span::styled(format!("at most {} ", trend.recent.highest.text), QUIET),
            ]),
        );
        let columns = usize::from(block.inner(*area).width);
        let values = &trend.recent.values;
        let newest = &values[values.len().saturating_sub(columns)..];
        let most = trend.recent.highest.value.unwrap_or(0.0);
        let scaled = newest.iter().map(|value| {
            let share = value.filter(|_| most > 0.0).map_or(0.0, |value| value / most);
            (share * SCALE) as u64
        });
        let drawn = Sparkline::default()
            .block(block)
            .data(scaled.collect::<Vec<u64>>())
            .max(SCALE as u64)
            .style(Style::new().fg(Color::Cyan));
        frame.render_widget(drawn, *area);
    }
}

fn keys(view: &View<'_>) -> Line<'static> {
    if view.question == Question::End {
        let text = "End the run now? y ends it, any other key goes on. What was recorded is kept.";
        return Line::styled(text, BAD.add_modifier(Modifier::BOLD));
    }
    let mut spans = Vec::new();
    let mut key = |key: &'static str, what: &'static str| {
        spans.push(Span::styled(format!(" {key} "), MARKED));
        spans.push(Span::styled(what, QUIET));
    };
    key("q", "end now");
    if view.can_pause {
        key("p", if view.is_paused { "go on" } else { "pause" });
    }
    key("m", "mark");
    key("?", "help");
    if let Some(url) = view.url {
        spans.push(Span::styled(format!("   {url}"), QUIET));
    }
    if view.now.lost > 0 {
        let text = format!("   {} readings not shown; the recording has them", view.now.lost);
        spans.push(Span::styled(text, BAD));
    }
    Line::from(spans)
}

fn draw_help(frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
    let pause = match view.can_pause {
        true => "p       hold the load of this stage; again: let the search go on",
        false => "p       (the stages of this plan are fixed and cannot be paused)",
    };
    let text = [
        "q       end the run now, after one more question",
        "Ctrl-C  end the run now; twice: end the program",
        pause,
        "m       mark this moment in the recording",
        "?       this page; any key closes it",
        "",
        "What is suspected is judged by the rules of the report on what is",
        "recorded so far. It is preliminary: later stages can change it.",
        "The recording is kept however the run ends.",
    ];
    let (width, height) = (70.min(area.width), (text.len() as u16 + 2).min(area.height));
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    frame.render_widget(Clear, place);
    let lines: Vec<Line<'_>> = text.into_iter().map(Line::raw).collect();
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title("Keys")), place);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::live::{About, Seen, Shown, Suspects};
    use crate::timeline::{LoadTick, Moment, Stage, StageRole, Window};

    fn live() -> Live {
        let moment = |second: f64| Moment::from_secs_f64(second);
        let mut live = Live::new(About {
            title: "shop".to_owned(),
            target: "http://shop".to_owned(),
            ..About::default()
        });
        let window = Window::new(moment(2.0), moment(12.0));
        live.see(Seen::Begins(Stage::constant(StageRole::Ramp, window, 120.0)));
        for second in 2..8 {
            let window = Window::new(moment(f64::from(second)), moment(f64::from(second) + 1.0));
            let tick = LoadTick { offered: 120, ..LoadTick::empty(window, "here") };
            live.see(Seen::Tick(Box::new(tick)));
        }
        live.see(Seen::Event("something\u{1b}[31m happened".to_owned()));
        live.see(Seen::Suspects(Suspects {
            until: Shown { value: Some(7.0), text: "7.0 s".to_owned() },
            headline: "No knee up to 120 requests/s. ".repeat(6),
            findings: vec![(
                "The pool is full.".to_owned(),
                "the cause".to_owned(),
                "high".to_owned(),
            )],
        }));
        live
    }

    fn screen(width: u16, height: u16, question: Question) -> String {
        let live = live();
        let (now, trends) = (live.now(), trends(&live));
        let view = View {
            now: &now,
            trends: &trends,
            question,
            can_pause: true,
            is_paused: false,
            url: None,
        };
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, &view)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let rows = buffer.content.chunks(usize::from(width));
        let text = |row: &[ratatui::buffer::Cell]| -> String {
            row.iter().map(ratatui::buffer::Cell::symbol).collect()
        };
        rows.map(text).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_small_and_a_large_terminal_show_what_matters() {
        for (width, height) in [(80, 24), (200, 60)] {
            let text = screen(width, height, Question::None);
            for part in [
                "shop",
                "running",
                "stage 1",
                "120 requests/s",
                "offered",
                "p99",
                "in flight",
                "No knee up to 120",
                "The pool is full.",
                "something [31m happened",
                "end now",
            ] {
                assert!(text.contains(part), "{width}x{height}: no `{part}` in\n{text}");
            }
        }
    }

    #[test]
    fn any_size_can_be_drawn() {
        for width in [1, 2, 7, 39, 80, 119, 120, 300] {
            for height in [1, 2, 3, 5, 11, 24, 35, 36, 100] {
                for question in [Question::None, Question::End, Question::Help] {
                    assert!(!screen(width, height, question).is_empty());
                }
            }
        }
    }
}
