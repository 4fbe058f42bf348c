//! What is said of texts that are not TOML.

use super::fixture::{BARE, complaint, load};

#[test]
fn what_is_not_toml_is_named_with_its_line_and_what_was_meant() {
    for (text, said) in [
        ("name='a'\nname='b'\n", "2: name is set twice, first on line 1 | delete one of the two"),
        (
            "name='a'\n[train]\nsteps=1\nhidden=2\nsteps=3\n",
            "5: train.steps is set twice, first on line 3 | delete one of the two",
        ),
        (
            "[train]\nsteps=1\n[corpus]\n[train]\n",
            "4: [train] stands twice, first on line 1 | put the keys of both under one of them",
        ),
        (
            "[[study.points]]\nseed=1\n[[study.points]]\nseed=2\nseed=3\n",
            "5: study.points.seed is set twice, first on line 4 | delete one of the two",
        ),
        ("name=\"w\n", "1: name: the text \"w has no closing quote | name = \"w\""),
        ("name \"w\"\n", "1: `name \"w\"` has no = between key and value | name = \"w\""),
        ("name: w\n", "1: `name: w` has no =; a key and its value are joined by =, not by : | name = \"w\""),
        ("[train]\ntied = True\n", "2: tied is True, which is not TOML | tied = true"),
        (
            "[train]\nclip_norm = None\n",
            "2: clip_norm is None, which TOML does not have | delete the line: clip_norm then has its default",
        ),
        ("[train]\noptimizer = adam\n", "2: optimizer is adam, a text without quotes | optimizer = \"adam\""),
        ("[train]\nlearning_rate = .5 # low\n", "2: learning_rate is .5, which is not TOML | learning_rate = 0.5"),
        ("[train]\nsteps = 10,000\n", "2: steps is 10,000, which is not TOML | steps = 10000"),
        (
            "[study]\nseed = [1, 2\ntrain.hidden = [3]\n",
            "2: the list that begins here has no closing ] | seed = [1, 2]",
        ),
        (
            "[study]\nseed = [\n  1,\n  2\n",
            "2: the list that begins here has no closing ] | close it on the line of its last item, or on a line of its own",
        ),
        ("[study]\nseed = [\n  1,\n  .2,\n]\n", "4: .2 is not TOML | 0.2"),
        ("[study]\nseed = [\n  1\n  2,\n]\n", "3: 1 has no comma after it | 1,"),
        ("[study]\nseed = [0,, 1]\n", "2: seed is [0,, 1], which is not TOML | seed = [0, 1]"),
        ("seed = −16\n", "1: seed is −16, which is not TOML | seed = -16"),
        (
            "name = 'a'\n\"\"\"\n",
            "2: the quotes `\"\"\"` stand alone | allowed on a line: KEY = VALUE, [TABLE], or # and a comment",
        ),
        (
            "[train]\nschedule = { kind = 'cosine' }\nschedule.floor = 0.1 # low\n",
            "3: train.schedule.floor would add to train.schedule, which line 2 sets as a whole | \
             add floor = 0.1 to line 2, in its braces",
        ),
        (
            "[train]\nschedule = { kind = 'cosine' }\n[train.schedule]\nfloor = 0.1\n",
            "3: [train.schedule] stands twice, first on line 2 | put the keys of both under one of them",
        ),
        ("[train\nsteps = 1\n", "1: `[train` is not the header of a table | [train]"),
        ("[train]\nsteps = 1 // few\n", "2: a comment begins with #, not with // | steps = 1 # few"),
        ("[train]\noptimizer = “adam”\n", "2: “ is not a TOML quote; allowed: \" or ' | optimizer = \"adam\""),
        ("[train]\nsteps\u{a0}= 1\n", "2: the character U+00A0 can't stand here | steps = 1"),
        (
            "[train]\nsteps = 1\rhidden = 2\r",
            "2: a line ends in a carriage return alone; allowed: a newline, or both | tr '\\r' '\\n' < old.toml > new.toml",
        ),
        (
            "[train]\nlearning rate = 1\n",
            "2: `learning rate` is not a key; allowed: letters, digits, _ and -, or any text in quotes | learning_rate = 1",
        ),
        ("[train]\nsteps = 1, hidden = 2\n", "2: steps and hidden stand on one line | give each a line of its own"),
        ("{\"name\": \"w\"}\n", "1: this looks like JSON; an experiment is TOML | name = \"lr_study\""),
    ] {
        assert_eq!(complaint(text, &[]), format!("x.toml:{said}"), "{text}");
    }
    // A mark of the byte order, CRLF and tabs are TOML's own.
    load(&format!("\u{feff}{}", BARE.replace('\n', "\r\n").replace('=', "\t=\t")), &[]).unwrap();
}
