//! `pipeline plot` and `pipeline report`, looked at as their readers do: by an XML parser, a PNG decoder and a browser.

use std::io::Write as _;
use std::path::Path;

use serde_json::Value;
use tests::TestSpace;
use tests::browser::{Browser, chromium};

/// A text that would leave its place if any could.
const HOSTILE: &str = "the </script><img src=x onerror=hacked=1> & <b>bold</b>";

/// A study of a rate that learns and one whose loss is NaN, with a hostile sample.
fn study() -> TestSpace {
    let space = TestSpace::new();
    space.run("tiny", &[]).ok();
    let changed = rusqlite::Connection::open(space.path("experiments.db"))
        .unwrap()
        .execute("UPDATE samples SET text = ?1 WHERE position = 0", [HOSTILE]);
    assert!(changed.unwrap() > 2);
    space
}

#[test]
fn a_plot_has_a_line_for_each_run_and_says_which() {
    let space = study();
    space.pipeline(&["plot", "study:tiny", "-o", "loss.svg"]).ok();
    let text = space.read("loss.svg");
    let svg = roxmltree::Document::parse(&text).unwrap();
    let of = |class: &str| {
        let has = |node: &roxmltree::Node<'_, '_>| {
            node.attribute("class").is_some_and(|classes| classes.split(' ').any(|it| it == class))
        };
        svg.descendants().filter(has).count()
    };
    assert_eq!(
        svg.descendants().filter(|node| node.attribute("class").is_some_and(|it| it.starts_with("line "))).count(),
        2
    );
    // Two hundred steps of one run are points enough to see a curve.
    let path = svg.descendants().find(|node| node.attribute("class") == Some("line s0")).unwrap();
    assert!(path.attribute("d").unwrap().split('L').count() > 50);
    // The other run was no number from step 1 on.
    assert!(of("hole") >= 1);
    let said: Vec<&str> =
        svg.descendants().filter(|node| node.has_tag_name("text")).filter_map(|node| node.text()).collect();
    for words in [
        "learning_rate 0.01: ",
        "learning_rate 1e38: nan",
        "ln V 6.91",
        "unigram ",
        "bigram ",
        "KN5 ",
        "step",
        "not finite",
    ] {
        assert!(said.iter().any(|text| text.starts_with(words)), "{words:?} is not in {said:?}");
    }
    // The same on standard output, of runs that are named one by one, and of something else.
    assert_eq!(space.pipeline(&["plot", "run1", "run2", "-o", "-"]).ok().stdout, text.replace("tiny", "run1, run2"));
    let norms = space.pipeline(&["plot", "run1", "--what", "grad_norm", "--log-y", "-o", "-"]).ok();
    assert!(norms.stdout.contains("gradient norm before clipping") && norms.stdout.contains("logarithmic"), "{norms}");
}

#[test]
fn a_png_has_its_size_and_its_curves() {
    let space = study();
    space.pipeline(&["plot", "study:tiny", "-o", "loss.png", "--width", "500", "--height", "300"]).ok();
    let mut reader = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(space.path("loss.png")).unwrap()));
    reader.set_transformations(png::Transformations::EXPAND | png::Transformations::ALPHA);
    let mut reader = reader.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height), (1000, 600));
    let count = |red, green, blue| pixels.chunks(4).filter(|pixel| pixel[..] == [red, green, blue, 255]).count();
    let white = count(255, 255, 255);
    assert!((300_000..590_000).contains(&white), "{white} white pixels");
    // The first run's curve, and letters, for which the program has a font of its own.
    assert!(count(0xc4, 0x4e, 0x00) > 1000);
    assert!(count(0x1f, 0x23, 0x28) > 100);
}

#[test]
fn what_can_not_be_drawn_or_written_is_said_in_a_line() {
    let space = study();
    std::fs::copy(space.path("experiments.db"), space.path("odd.html")).unwrap();
    for (words, said, hint) in [
        (&["plot", "run1", "-o", "loss.pdf"][..], "loss.pdf: the file must end in .svg or .png", "-o loss.svg"),
        (&["plot", "run1", "-o", "loss"], "loss: the file must end in .svg or .png", "-o loss.svg"),
        (&["plot", "run9", "-o", "loss.svg"], "run9 does not exist", "pipeline runs"),
        (&["plot", "run1", "-o", "no/loss.svg"], "no/loss.svg: can't be written", "folder"),
        (&["plot", "run1", "-o", "a.png", "--theme", "auto"], "--theme auto requires SVG", "--theme light"),
        (&["plot", "run1", "-o", "a.svg", "--what", "entropy", "--log-y"], "", ""),
        (&["report", "run1", "-o", "no/report.html"], "no/report.html: can't be written", "folder"),
        (&["report", "run1", "-o", "data"], "data: can't be written", "-o"),
        (&["report", "run1", "-o", "two.pdf"], "two.pdf: a report is an HTML file, not .pdf", "-o two.html"),
        (&["report", "run1", "-o", "experiments.db"], "experiments.db: a report is an HTML", "-o experiments.html"),
        (&["report", "run1", "--db", "odd.html", "-o", "odd.html"], "odd.html: this is the database", "-o"),
        (&["report", "study:none"], "unknown study 'none'", ""),
    ] {
        let ended = space.pipeline(words);
        if said.is_empty() {
            ended.ok();
            continue;
        }
        let ended = ended.complains(2, said);
        if !hint.is_empty() {
            ended.hints(hint);
        }
    }
    assert!(!space.path("loss.svg").exists() && !space.path("report.html").exists());
}

/// A browser on a page; or a word that there is none, past what a test's output is kept back by.
fn browse(page: &Path) -> Option<Browser> {
    let Some(program) = chromium() else {
        let _ = std::io::stderr()
            .write_all(b"SKIPPED: no Chromium on the PATH, so the report was not looked at in a browser (PIPELINE_CHROMIUM names one)\n");
        return None;
    };
    Some(Browser::open(&program, page, 1200, 900))
}

/// Functions for the page's console.
const TOOLS: &str = r#"
    const canvas = (id) => document.querySelector(`figure[data-chart="${id}"] canvas`);
    // Pixels of about the colour of a curve.
    const ink = (id, name) => {
        const wanted = getComputedStyle(document.documentElement).getPropertyValue(name).trim().match(/\w\w/g).map((x) => parseInt(x, 16));
        const { width, height } = canvas(id);
        const pixels = canvas(id).getContext("2d").getImageData(0, 0, width, height).data;
        let found = 0;
        for (let i = 0; i < pixels.length; i += 4) {
            if (pixels[i + 3] > 200 && wanted.every((x, k) => Math.abs(pixels[i + k] - x) < 12)) found++;
        }
        return found;
    };
    const picture = (id) => canvas(id).toDataURL();
    const settled = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const press = async (found) => { found.click(); await settled(); };
    const box = (words) => [...document.querySelectorAll("label")].find((it) => it.textContent.includes(words)).querySelector("input");
"#;

#[test]
fn the_report_works_in_a_browser() {
    let space = study();
    space.pipeline(&["report", "study:tiny"]).ok();
    let Some(mut browser) = browse(&space.path("report.html")) else { return };
    browser.evaluate(TOOLS);
    let number = |value: Value| value.as_f64().unwrap();

    // Every picture is drawn, with the first run's colour in it, and the still ones are out of sight.
    let charts = browser.evaluate("JSON.parse(document.getElementById('data').textContent).charts.map((it) => it.id)");
    let charts: Vec<String> = serde_json::from_value(charts).unwrap();
    assert!(charts.len() >= 5 && charts[0] == "loss" && charts[1] == "valid", "{charts:?}");
    for chart in &charts {
        assert!(number(browser.evaluate(&format!("ink('{chart}', '--c0')"))) > 100.0, "{chart} is not drawn");
    }
    assert_eq!(browser.evaluate("[...document.querySelectorAll('.still')].filter((it) => it.offsetHeight).length"), 0);
    let at_first = browser.evaluate("picture('loss')");

    // A run that is switched off is gone, from the parameters' picture too; and comes back the same.
    browser.evaluate("press(document.querySelector('#runs input[value=\"1\"]'))");
    assert_eq!(browser.evaluate("ink('loss', '--c0')"), 0);
    assert_eq!(browser.evaluate("getComputedStyle(document.querySelector('.strand[data-run=\"1\"]')).display"), "none");
    browser.evaluate("press(document.querySelector('#runs input[value=\"1\"]'))");
    assert_eq!(browser.evaluate("picture('loss')"), at_first);

    // A logarithmic axis is another picture.
    browser.evaluate("press(box('logarithmic'))");
    assert_ne!(browser.evaluate("picture('loss')"), at_first);
    browser.evaluate("press(box('logarithmic'))");
    assert_eq!(browser.evaluate("picture('loss')"), at_first);

    // Zoom by dragging, and back by the button; and by numbers.
    browser.evaluate("canvas('loss').scrollIntoView({ block: 'center' })");
    let at = browser.evaluate("(({ left, top, width, height }) => [left, top, width, height])(document.querySelector('figure[data-chart=loss] .u-over').getBoundingClientRect())");
    let at: Vec<f64> = serde_json::from_value(at).unwrap();
    let place = |share: f64| (at[0] + at[2] * share, at[1] + at[3] / 2.0);
    browser.drag(place(0.25), place(0.5));
    browser.evaluate("settled()");
    let steps =
        "[...document.querySelectorAll('figure[data-chart=loss] input[type=number]')].map((it) => Number(it.value))";
    let zoomed: Vec<f64> = serde_json::from_value(browser.evaluate(steps)).unwrap();
    assert!((zoomed[0] - 50.0).abs() <= 2.0 && (zoomed[1] - 100.0).abs() <= 2.0, "{zoomed:?}");
    assert_ne!(browser.evaluate("picture('loss')"), at_first);
    browser.evaluate("press([...document.querySelectorAll('figure[data-chart=loss] button')].find((it) => it.textContent === 'all steps'))");
    assert_eq!(browser.evaluate(steps), serde_json::json!([0, 200]));

    // The theme, by the reader's own choice.
    let ground = "getComputedStyle(document.body).backgroundColor";
    let light = browser.evaluate(ground);
    browser.evaluate("press(document.querySelector('input[value=dark]'))");
    assert_ne!(browser.evaluate(ground), light);
    assert!(number(browser.evaluate("ink('loss', '--c0')")) > 100.0);

    // A telephone: nothing is wider than its screen.
    browser.size(390, 800);
    browser.evaluate("settled()");
    assert_eq!(browser.evaluate("document.documentElement.scrollWidth"), 390);
    assert!(number(browser.evaluate("ink('loss', '--c0')")) > 100.0);

    // The hostile text is text, nothing was fetched but the page, and nobody complained.
    assert_eq!(browser.evaluate("document.images.length"), 0);
    assert_eq!(browser.evaluate("typeof hacked"), "undefined");
    let shown = browser.evaluate("document.querySelector('blockquote').textContent");
    assert_eq!(shown, HOSTILE);
    let fetched: Vec<String> = browser.requests().into_iter().filter(|url| !url.starts_with("file://")).collect();
    assert!(fetched.is_empty() && browser.requests().len() == 1, "{:?}", browser.requests());
    assert!(browser.complaints().is_empty(), "{:?}", browser.complaints());
}

#[test]
fn the_report_can_be_read_without_javascript() {
    let space = study();
    space.pipeline(&["report", "study:tiny"]).ok();
    let Some(mut browser) = browse(Path::new("/dev/null")) else { return };
    browser.call("Emulation.setScriptExecutionDisabled", serde_json::json!({"value": true}));
    browser.go(&space.path("report.html"));
    let stills = browser.evaluate(
        "[...document.querySelectorAll('.still svg')].filter((it) => it.getBoundingClientRect().height > 100).length",
    );
    assert!(stills.as_f64().unwrap() >= 5.0, "{stills}");
    assert!(browser.evaluate("document.querySelector('#summary table').innerText").as_str().unwrap().contains("run2"));
    // Controls that could do nothing are not there.
    assert_eq!(
        browser.evaluate("[...document.querySelectorAll('input, button')].filter((it) => it.offsetHeight).length"),
        0
    );
}
