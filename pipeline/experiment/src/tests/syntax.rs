//! Errors about texts that are not valid TOML.

use super::fixture::{BARE, complaint, load};

#[test]
fn invalid_toml_is_named_with_its_line_and_what_was_probably_meant() {
    for (text, said) in [
        ("name='a'\nname='b'\n", "2: name is set twice, first on line 1 | delete one of them"),
        (
            "name='a'\n[train]\nsteps=1\nhidden=2\nsteps=3\n",
            "5: train.steps is set twice, first on line 3 | delete one of them",
        ),
        (
            "[train]\nsteps=1\n[corpus]\n[train]\n",
            "4: [train] is defined twice, first on line 1 | merge the two tables",
        ),
        (
            "[[study.points]]\nseed=1\n[[study.points]]\nseed=2\nseed=3\n",
            "5: study.points.seed is set twice, first on line 4 | delete one of them",
        ),
        ("name=\"w\n", "1: name: the string \"w has no closing quote | name = \"w\""),
        ("name \"w\"\n", "1: `name \"w\"` has no = between key and value | name = \"w\""),
        ("name: w\n", "1: `name: w` has no =; separate key and value with =, not : | name = \"w\""),
        ("[train]\ntied = True\n", "2: tied is True, which is not valid TOML | tied = true"),
        (
            "[train]\nclip_norm = None\n",
            "2: clip_norm is None, but TOML has no null value | delete the line to use the default of clip_norm",
        ),
        ("[train]\noptimizer = adam\n", "2: optimizer is adam, a string without quotes | optimizer = \"adam\""),
        (
            "[train]\nlearning_rate = .5 # low\n",
            "2: learning_rate is .5, which is not valid TOML | learning_rate = 0.5",
        ),
        ("[train]\nsteps = 10,000\n", "2: steps is 10,000, which is not valid TOML | steps = 10000"),
        (
            "[study]\nseed = [1, 2\ntrain.hidden = [3]\n",
            "2: the list that starts here has no closing ] | seed = [1, 2]",
        ),
        (
            "[study]\nseed = [\n  1,\n  2\n",
            "2: the list that starts here has no closing ] | close it after its last item",
        ),
        ("[study]\nseed = [\n  1,\n  .2,\n]\n", "4: .2 is not valid TOML | 0.2"),
        ("[study]\nseed = [\n  1\n  2,\n]\n", "3: missing comma after 1 | 1,"),
        ("[study]\nseed = [0,, 1]\n", "2: seed is [0,, 1], which is not valid TOML | seed = [0, 1]"),
        ("seed = −16\n", "1: seed is −16, which is not valid TOML | seed = -16"),
        ("name = 'a'\n\"\"\"\n", "2: stray quotes `\"\"\"` | allowed on a line: KEY = VALUE, [TABLE] or # COMMENT"),
        (
            "[train]\nschedule = { kind = 'cosine' }\nschedule.floor = 0.1 # low\n",
            "3: cannot set train.schedule.floor: line 2 already sets train.schedule as a whole | \
             add floor = 0.1 inside the braces on line 2",
        ),
        (
            "[train]\nschedule = { kind = 'cosine' }\n[train.schedule]\nfloor = 0.1\n",
            "3: [train.schedule] is defined twice, first on line 2 | merge the two tables",
        ),
        ("[train\nsteps = 1\n", "1: `[train` is not a valid table header | [train]"),
        ("[train]\nsteps = 1 // few\n", "2: comments start with #, not // | steps = 1 # few"),
        ("[train]\noptimizer = “adam”\n", "2: “ is not a TOML quote; allowed: \" or ' | optimizer = \"adam\""),
        ("[train]\nsteps\u{a0}= 1\n", "2: unexpected character U+00A0 | steps = 1"),
        (
            "[train]\nsteps = 1\rhidden = 2\r",
            "2: line ends in a bare carriage return; allowed: LF or CRLF | to convert the file: tr '\\r' '\\n' < old.toml > new.toml",
        ),
        (
            "[train]\nlearning rate = 1\n",
            "2: `learning rate` is not a valid key; allowed: letters, digits, _ and -, or any string in quotes | learning_rate = 1",
        ),
        ("[train]\nsteps = 1, hidden = 2\n", "2: steps and hidden are on the same line | put each on its own line"),
        ("{\"name\": \"w\"}\n", "1: this looks like JSON; an experiment is TOML | name = \"lr_study\""),
    ] {
        assert_eq!(complaint(text, &[]), format!("x.toml:{said}"), "{text}");
    }
    // TOML allows a byte order mark, CRLF and tabs.
    load(&format!("\u{feff}{}", BARE.replace('\n', "\r\n").replace('=', "\t=\t")), &[]).unwrap();
}
