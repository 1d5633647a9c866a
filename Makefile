# The only entrances. `make run` and, in another terminal, `make call`.

CONFIG ?= demo
BIND ?= 127.0.0.1:5060
NUMBER ?= 1002
# Not `?=`: make itself knows an AS, the assembler.
ifneq ($(origin AS),command line)
AS = unknown
endif
# Longest time of a call, in seconds.
FOR ?= 90
# What leads to a person (or the partner) on each of the demo's numbers: who isn't known has a menu on the staff line.
# A telephone of this program is known by its tone; with AGENT= nobody is there to be waited for.
KEYS ?= $(KEYS_OF_$(LINE)) $(if $(AGENT),tone w5,w14) hangup
LINE = $(patsubst 2%,1%,$(NUMBER))
COMMA = ,
KEYS_OF_1002 = $(if $(filter unknown withheld,$(AS)),"patient$(COMMA) 3" 1)
KEYS_OF_1003 = "press 0" 0
KEYS_OF_1005 = "press 0" 0
KEYS_OF_1007 = "press 0" 0
KEYS_OF_1009 = "four digits" 7004
KEYS_OF_1011 = "for printing" 0
KEYS_OF_1013 = "for a person" 0
# Who has it in their queues, or is meant: space-separated, or none (AGENT=).
AGENT ?= $(or $(AGENT_OF_$(LINE)),ana)
AGENT_OF_1003 = ben
AGENT_OF_1007 = ben
AGENT_OF_1009 = dov

CARGO = cargo
# Release for people, the optimised dev profile for tests: one build each.
CARELINE = $(CARGO) run --quiet --release -p server --bin careline --

.PHONY: run call test check bench fuzz needs voices clean

needs:
	@tools/needs.sh run

voices: needs
	@tools/fetch-voice.sh voices/hibari

## Build, load the demo, serve, and say what to dial.
run: voices
	$(CARGO) build --release -p server --bin careline
	@$(CARELINE) serve --config $(CONFIG) --bind $(BIND) --welcome --show-calls --stand-in nightline --stand-in http://127.0.0.1:5080

## Place a call and see what the caller hears. NUMBER, AS, KEYS, AGENT and FOR can be set.
call: voices
	@$(CARELINE) call $(NUMBER) --config $(CONFIG) --server $(BIND) --as $(AS) --keys '$(KEYS)' $(foreach user,$(AGENT),--with-agent $(user)) --for $(FOR)

## Everything: unit tests, the simulated world, real calls.
test: voices
	@tools/needs.sh test
	@tools/test.sh

## Formatting, lints, licences and advisories, unused dependencies.
check:
	@tools/needs.sh check
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	@# The fuzz targets, which aren't of the workspace, with what clippy has built; libFuzzer itself isn't wanted for that.
	CARGO_TARGET_DIR=$${CARGO_TARGET_DIR:-$(CURDIR)/target} CUSTOM_LIBFUZZER_PATH=/none/libfuzzer.a \
	  $(CARGO) check --manifest-path fuzz/Cargo.toml --bins --locked
	cargo deny --locked check bans licenses sources
	@# Advisories need the network; without it that is said, not hidden.
	@if cargo deny --locked fetch db >/dev/null 2>&1; then cargo deny --locked check --disable-fetch advisories; \
	  else echo "advisories: NOT checked, their database can't be reached"; fi
	cargo machete
	@tools/purity.sh

## Figures: server CPU per unit of work. Prints; fails nothing.
bench: voices
	@tools/needs.sh test
	$(CARGO) build --release -p server --bins --examples
	$(CARGO) build --release -p media --example cost
	@tools/bench.sh

## Fuzz targets one after the other, FUZZ_SECONDS each (600). What they have found is replayed by `make test`.
fuzz: needs
	@tools/fuzz.sh

clean:
	$(CARGO) clean
