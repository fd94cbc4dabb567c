use super::*;

/// The data and what was published of them; see `tests/data/usl/README.md`.
macro_rules! data {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/usl/", $name))
    };
}

fn expected() -> serde_json::Value {
    serde_json::from_str(data!("expected.json")).unwrap()
}

/// Columns `n` and `x` of a CSV with a header.
fn points(text: &str, n: usize, x: usize) -> Vec<(f64, f64)> {
    let number = |line: &str, column: usize| line.split(',').nth(column)?.trim().parse().ok();
    text.lines().skip(1).filter_map(|line| Some((number(line, n)?, number(line, x)?))).collect()
}

#[track_caller]
fn close(got: f64, expected: f64, relative: f64) {
    assert!((got / expected - 1.0).abs() <= relative, "{got}, expected {expected}");
}

fn number(value: &serde_json::Value) -> f64 {
    value.as_f64().unwrap()
}

#[test]
fn the_published_fits_are_reproduced() {
    let expected = expected();
    let raytracer = points(data!("raytracer.csv"), 0, 1);
    let cases = [
        ("specsdm91", points(data!("specsdm91.csv"), 0, 1)),
        ("raytracer_first6", raytracer[..6].to_vec()),
        ("cisco_schwartz", points(data!("cisco_schwartz.csv"), 0, 1)),
    ];
    for (name, points) in cases {
        let usl = fit_usl(&points).unwrap();
        let refit = &expected[name]["refit_here"];
        close(usl.sigma, number(&refit["sigma"]), 1e-4);
        close(usl.kappa, number(&refit["kappa"]), 1e-4);
        close(usl.lambda, number(&refit["lambda"]), 1e-4);
        close(usl.extrapolated_peak(), number(&refit["N_peak"]), 1e-4);
        close(usl.throughput(usl.extrapolated_peak()), number(&refit["X_peak"]), 1e-4);
    }
    let spec = fit_usl(&points(data!("specsdm91.csv"), 0, 1)).unwrap();
    close(spec.residual_error, 82.85, 1e-3);
    close(spec.limit(), 3245.6, 1e-3);
    close(spec.throughput(1.0 / spec.sigma), 1542.0, 1e-3);
}

#[test]
fn a_synthetic_law_is_recovered() {
    let synthetic: Vec<(f64, f64)> =
        [1.0, 2.0, 4.0, 6.0, 8.0, 10.0].map(|n| (n, model([0.02, 0.02, 1.0], n))).into();
    let usl = fit_usl(&synthetic).unwrap();
    close(usl.sigma, 0.02, 1e-5);
    close(usl.kappa, 0.02, 1e-5);
    close(usl.lambda, 1.0, 1e-6);
    close(usl.peak.unwrap().concurrency, 7.0, 1e-4);
}

#[test]
fn the_inverse_agrees_with_the_law_and_not_with_the_published_mistake() {
    let usl = fit_usl(&points(data!("cisco_schwartz.csv"), 0, 1)).unwrap();
    for (throughput, concurrency, mistaken) in
        [(11_048.0, 19.9239, 15.3504), (12_201.0, 29.5690, 17.7322)]
    {
        let got = usl.concurrency_at(throughput).unwrap();
        close(got, concurrency, 1e-3);
        close(usl.throughput(got), throughput, 1e-9);
        assert!((got - mistaken).abs() > 4.0);
    }
    assert_eq!(usl.concurrency_at(13_000.0), None);
    for (concurrency, throughput) in [(1.0, 995.648_772), (20.0, 11_063.633), (35.0, 12_341.746)] {
        close(usl.throughput(concurrency), throughput, 2e-4);
    }
}

#[test]
fn a_peak_beyond_the_data_is_not_told() {
    // Six points promise 203 at 24; the other five rise to 310 at 64.
    let raytracer = points(data!("raytracer.csv"), 0, 1);
    let six = fit_usl(&raytracer[..6]).unwrap();
    close(six.extrapolated_peak(), 24.4883, 1e-3);
    assert_eq!(six.peak, None);
    // All of them have a negative coherency, which is refitted as none.
    let all = fit_usl(&raytracer).unwrap();
    assert_eq!((all.kappa, all.peak), (0.0, None));
    assert!(all.sigma > 0.0 && all.extrapolated_peak().is_infinite());
    let cisco = points(data!("cisco_schwartz.csv"), 0, 1);
    for k in [8, 12, 16] {
        let usl = fit_usl(&cisco[..k]).unwrap();
        assert!(usl.sigma >= 0.0 && usl.kappa >= 0.0, "first {k}: {usl:?}");
        assert_eq!(usl.peak, None, "first {k}");
    }
}

#[test]
fn a_peak_inside_the_data_is_told_with_its_interval() {
    let spec = fit_usl(&points(data!("cisco_schwartz.csv"), 0, 1)).unwrap();
    if let Some(peak) = spec.peak {
        assert!(peak.interval.low <= peak.concurrency && peak.concurrency <= peak.interval.high);
    }
}

#[test]
fn scattered_production_samples_fit_badly_and_say_so() {
    // Columns db_time (mean active sessions) and txn_rate.
    let oracle = points(data!("oracledb.csv"), 1, 6);
    assert_eq!(oracle.len(), 360);
    let usl = fit_usl(&oracle).unwrap();
    let refit = &expected()["oracledb"]["refit_here"];
    close(usl.sigma, number(&refit["sigma"]), 2e-3);
    close(usl.kappa, number(&refit["kappa"]), 2e-3);
    close(usl.r_squared, number(&refit["R2"]), 5e-3);
}

#[test]
fn what_cannot_be_fitted_is_not() {
    assert_eq!(fit_usl(&[]), None);
    assert_eq!(fit_usl(&[(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]), None);
    assert_eq!(fit_usl(&[(0.0, 1.0), (2.0, 2.0), (3.0, 3.0), (4.0, 4.0)]), None);
    assert_eq!(fit_usl(&[(1.0, 0.0), (2.0, 0.0), (3.0, 0.0), (4.0, 0.0)]), None);
    let same = fit_usl(&[(2.0, 5.0), (2.0, 5.1), (2.0, 4.9), (2.0, 5.0)]);
    assert!(same.is_none_or(|usl| usl.peak.is_none()), "{same:?}");
}
