//! Miss-ratio curves as SVG.

use std::fmt::Write as _;

/// The miss ratios of one policy.
#[derive(Clone, Debug)]
pub struct Curve {
    /// The policy.
    pub name: String,
    /// Capacity and miss ratio.
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 480.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 60.0;
/// Told apart with any kind of sight (after P. Tol's bright and muted schemes), and by their dashes in print.
const COLOURS: [&str; 9] =
    ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#999933", "#882255", "#000000"];
const DASHES: [&str; 3] = ["", "7 3", "2 3"];

/// Where the axes run: capacities on a logarithmic scale, and the miss ratios from a round figure to another.
struct Scale {
    low: f64,
    high: f64,
    bottom: f64,
    top: f64,
}

impl Scale {
    fn around(curves: &[Curve]) -> Self {
        let points = || curves.iter().flat_map(|curve| curve.points.iter());
        let low = points().map(|point| point.0).fold(f64::INFINITY, f64::min).max(1.0);
        let high = points().map(|point| point.0).fold(low * 2.0, f64::max);
        let bottom = (points().map(|point| point.1).fold(1.0, f64::min) * 10.0).floor() / 10.0;
        let top = (points().map(|point| point.1).fold(0.0, f64::max) * 10.0).ceil() / 10.0;
        Self { low, high, bottom, top: top.max(bottom + 0.1) }
    }

    fn x(&self, capacity: f64) -> f64 {
        let part = (capacity.max(self.low) / self.low).ln() / (self.high / self.low).ln();
        LEFT + part * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, ratio: f64) -> f64 {
        HEIGHT - BOTTOM - (ratio - self.bottom) / (self.top - self.bottom) * (HEIGHT - TOP - BOTTOM)
    }
}

/// A picture of the curves of one trace; `unit` is what the capacity counts.
#[must_use]
pub fn draw(trace: &str, unit: &str, curves: &[Curve]) -> String {
    let scale = Scale::around(curves);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    text(&mut svg, LEFT, 28.0, "start", &format!("Miss ratio: {trace}"));
    axes(&mut svg, &scale, unit);
    for (number, curve) in curves.iter().enumerate() {
        line(&mut svg, &scale, number, curve);
    }
    svg.push_str("</svg>\n");
    svg
}

// Writing to a string does not fail, hence the results that are let go below.

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>");
}

fn axes(svg: &mut String, scale: &Scale, unit: &str) {
    let (right, floor) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let mut grid = |x1: f64, y1: f64, x2: f64, y2: f64| {
        let _ = writeln!(svg, "<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" stroke=\"#ddd\"/>");
    };
    let ratios: Vec<f64> = (0..=10)
        .map(|tenth| f64::from(tenth) / 10.0)
        .filter(|&ratio| ratio > scale.bottom - 0.01 && ratio < scale.top + 0.01)
        .collect();
    let capacities: Vec<f64> = (0..20)
        .flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(power)))
        .filter(|&capacity| capacity >= scale.low && capacity <= scale.high)
        .collect();
    for &ratio in &ratios {
        grid(LEFT, scale.y(ratio), right, scale.y(ratio));
    }
    for &capacity in &capacities {
        grid(scale.x(capacity), TOP, scale.x(capacity), floor);
    }
    for &ratio in &ratios {
        text(svg, LEFT - 8.0, scale.y(ratio) + 4.0, "end", &format!("{ratio:.1}"));
    }
    for &capacity in &capacities {
        text(svg, scale.x(capacity), floor + 18.0, "middle", &short(capacity));
    }
    text(svg, f64::midpoint(LEFT, right), HEIGHT - 14.0, "middle", &format!("capacity ({unit})"));
}

/// 20000 as 20k.
fn short(number: f64) -> String {
    let units = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let unit = units.iter().find(|unit| number >= unit.0);
    unit.map_or_else(|| format!("{number}"), |unit| format!("{}{}", number / unit.0, unit.1))
}

fn line(svg: &mut String, scale: &Scale, number: usize, curve: &Curve) {
    let colour = COLOURS[number % COLOURS.len()];
    let dash = DASHES[number % DASHES.len()];
    let points: Vec<String> =
        curve.points.iter().map(|point| format!("{:.1},{:.1}", scale.x(point.0), scale.y(point.1))).collect();
    let style = format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dash}\"");
    let _ = writeln!(svg, "<polyline points=\"{}\" {style}/>", points.join(" "));
    for point in &curve.points {
        let (x, y) = (scale.x(point.0), scale.y(point.1));
        let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
    }
    let (x, y) = (WIDTH - RIGHT + 16.0, TOP + 12.0 + 22.0 * number as f64);
    let _ = writeln!(svg, "<path d=\"M{x:.1} {y:.1}h28\" {style}/>");
    text(svg, x + 36.0, y + 4.0, "start", &curve.name);
}
