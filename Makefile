# `make study` and `make test` need Rust, a C++ compiler and Python 3 with pip, and nothing done beforehand.
#
# Everything is built in the release profile, so that torch-sys, by far the longest compilation, is compiled once for the
# programs, the tests and the lints.

PYTHON ?= python3
CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
# Where cargo itself installs programs: rustup has put it on the PATH.
BIN := $(or $(CARGO_INSTALL_ROOT),$(CARGO_HOME),$(HOME)/.cargo)/bin

# cargo reads LIBTORCH from .cargo/config.toml alone, where scripts/libtorch.py puts it, the user's own included: two
# sources would differ some day, and each change compiles torch-sys anew.
unexport LIBTORCH

# CUDA=1 asks for the CUDA build and CUDA=0 for the CPU build; without either, a clone keeps what it has. Other values are
# somebody else's variable, such as the folder of a CUDA toolkit.
VARIANT := $(if $(filter 1,$(CUDA)),--cuda,$(if $(filter 0,$(CUDA)),--cpu))

.DEFAULT_GOAL := help
.PHONY: help study test fuzz torture build libtorch lint format install bench clean tools

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

study: build ## fetch libtorch, build both programs and run experiments/lr_study.toml
	$(TARGET)/release/pipeline run experiments/lr_study.toml

# Most tests run the program, and wait for its processes and for the disk: more of them than there are cores go side by side.
test: build ## pass the whole suite
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$((2 * $$(getconf _NPROCESSORS_ONLN)))} \
	  $(CARGO) test --release --workspace --locked

# Needs `cargo install cargo-fuzz --locked`. What libFuzzer keeps stays below target/; FUZZ='sql set' takes those targets alone.
FUZZ_SECONDS ?= 60
FUZZ ?= $(notdir $(wildcard tests/corpus/*))

# No sanitizer: the code is safe Rust but for SQLite, and so a stable compiler will do. Memory is bounded, as a frame's is.
fuzz: tools ## give each property in tests/properties what libFuzzer makes up, for FUZZ_SECONDS=60
	@$(CARGO) fuzz --version >/dev/null 2>&1 || { echo 'error: cargo-fuzz was not found' >&2; \
	  echo 'hint: cargo install cargo-fuzz --locked' >&2; exit 1; }
	@for target in $(FUZZ); do mkdir -p $(TARGET)/fuzz/corpus/$$target; \
	  $(CARGO) fuzz run --fuzz-dir tests/fuzz --target-dir $(TARGET)/fuzz --sanitizer none $$target \
	    $(TARGET)/fuzz/corpus/$$target tests/corpus/$$target -- \
	    -max_total_time=$(FUZZ_SECONDS) -timeout=20 -max_len=4096 -malloc_limit_mb=80 || exit 1; done

# TORTURE='--minutes 5 --only kills,disks' takes less; `tests/torture/torture.py --help` has more.
torture: build ## attack the program for an hour (kills, full disks, power cuts, …); TORTURE='--minutes 5' for less
	$(PYTHON) tests/torture/torture.py --pipeline $(TARGET)/release/pipeline $(TORTURE)

build: libtorch ## build both programs into target/release
	$(CARGO) build --release --workspace --locked

libtorch: tools ## put libtorch into the cache folder; CUDA=1 the full CUDA build, CUDA=0 the CPU build again
	@LIBTORCH='$(LIBTORCH)' $(PYTHON) scripts/libtorch.py $(VARIANT) >/dev/null

lint: libtorch ## check formatting, and lints as errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --profile release --workspace --all-targets --locked -- -D warnings

format: ## format the sources
	$(CARGO) fmt --all

# Copied rather than `cargo install`ed: that resolves features anew for each package, so it compiles most dependencies
# again and asks the registry, and what it installs is not what was tested.
install: build ## put pipeline and pipeline-neural on the PATH, independent of this clone
	@mkdir -p "$(BIN)"
	install -m 755 $(TARGET)/release/pipeline $(TARGET)/release/pipeline-neural "$(BIN)"
	@case ":$$PATH:" in *":$(BIN):"*) ;; *) echo 'hint: $(BIN) is not on your PATH' >&2 ;; esac

# BENCH='--rounds 3 --study-steps 100' takes half the time; `bench/contest.py --help` has more.
bench: build ## measure beside PyTorch, Hugging Face and sqlite3 into bench/RESULTS.md; PYTHON names an interpreter that has them
	$(CARGO) build --release --workspace --example steps --locked
	$(PYTHON) bench/contest.py --python $(PYTHON) --pipeline $(TARGET)/release/pipeline \
	  --steps-program $(TARGET)/release/examples/steps $(BENCH)

clean: ## delete what was built; libtorch stays in the cache folder
	$(CARGO) clean

tools:
	@command -v $(CARGO) >/dev/null || { echo 'error: cargo was not found' >&2; \
	  echo 'hint: install Rust from https://rustup.rs, then open a new shell' >&2; exit 1; }
	@command -v $${CXX:-c++} >/dev/null || { echo "error: no C++ compiler was found ($${CXX:-c++})" >&2; \
	  echo 'hint: install one (Debian: apt install g++; Fedora: dnf install gcc-c++)' >&2; exit 1; }
	@command -v $(PYTHON) >/dev/null || { echo 'error: $(PYTHON) was not found' >&2; \
	  echo 'hint: install Python 3 with pip (Debian: apt install python3 python3-pip)' >&2; exit 1; }
