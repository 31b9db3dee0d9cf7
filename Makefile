# Builds, checks and installs mule. `make help` lists the targets.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

PREFIX ?= /usr/local
DESTDIR ?=
# Where zsh finds completions, below PREFIX/share: Debian's packages use a directory of their own.
ZSH_FUNCTIONS := zsh/$(if $(and $(filter /usr,$(PREFIX)),$(wildcard /etc/debian_version)),vendor-completions,site-functions)
# More arguments for swift build and swift test, such as: make test SWIFTFLAGS='-j 2'
SWIFTFLAGS ?=
# More arguments for the demo, the torture, the kills and the benchmark, such as: make kills ARGS='--rounds 5 --seed 7'
ARGS ?=
# Number of crash points of each kind; make test takes a few.
POINTS ?= all
# What make torture plays: a seed, for so many minutes; with ROUND only that round.
SEED ?= 1
MINUTES ?= 10
ROUND ?=

SERVERS := swift localstack rclone moto
MULE := .build/release/mule
SWIFT_SOURCES := Sources Tests Package.swift $(wildcard Benchmarks)

# $(call or-say,SENTENCE): if the command before it failed, prints the sentence and fails the target.
or-say = || { echo "make $@: $(1)" >&2; exit 1; }

.PHONY: help deps servers build test unit lint check format reference demo torture kills archive-kills slow-links crashpoints bench peers sanitize install deb package-test clean distclean

help: ## show this list
	@echo 'usage: make TARGET'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' Makefile

deps: ## install the libraries mule needs (apt-get, with sudo), check for Swift
	@.ci/deps

servers: deps ## install what the tests need: S3 servers, and a few packages
	@.ci/deps --tests
	@for name in $(SERVERS); do \
	    Tests/Servers/s3server install "$$name" $(call or-say,the server $$name could not be installed; see above) \
	done

build: deps ## build the release binary, .build/release/mule
	@swift build -c release --static-swift-stdlib --product mule $(SWIFTFLAGS) \
	    $(call or-say,the release build failed; the compiler's messages are above)

test: servers ## run all tests, including those against real S3 servers
	@swift test $(SWIFTFLAGS) $(call or-say,a test failed or did not build; look for "error" above)

unit: deps ## run the tests that need no server
	@swift test $(SWIFTFLAGS) --skip 'EndToEndTests|TestSupportTests' $(call or-say,a test failed or did not build; look for "error" above)

lint: ## check the format of the sources, the words of the documents, and the test names in docs/faults.md
	@swift format lint --strict --parallel --recursive $(SWIFT_SOURCES) \
	    $(call or-say,the format is not right; run make format and fix what remains)
	@.ci/check-faults $(call or-say,docs/faults.md names a test that does not exist; see above)
	@.ci/check-words $(call or-say,a document uses words that the glossary replaces; see above)
	@Benchmarks/run --list --clients mule >/dev/null $(call or-say,the benchmark does not start; see above)
	@Benchmarks/check --quiet $(call or-say,the benchmark's tables or picture are not right; see above)

check: ## run everything CI runs: build without warnings, lint, all tests, fuzzing
	@$(MAKE) --no-print-directory build
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory fuzz SECONDS=10
	@Benchmarks/run --tiny --scenario one,interrupted-100 --clients mule >/dev/null $(call or-say,mule or the benchmark failed; see above)
	@echo 'make check: all good'

format: ## format the sources
	@swift format --in-place --parallel --recursive $(SWIFT_SOURCES) \
	    $(call or-say,swift format failed; its messages are above)

reference: ## write the man pages and docs/reference from the tables in the sources
	@MULE_WRITE_REFERENCE=1 swift test $(SWIFTFLAGS) --filter MuleCLITests.ReferenceTests \
	    $(call or-say,the pages could not be written; look for "error" above)

.PHONY: fuzz
fuzz: deps ## fuzz every parser: make fuzz MINUTES=10 [TARGET=xml]
	@Tests/Fuzz/run --seconds $(or $(SECONDS),$$(($(MINUTES) * 60))) $(TARGET) \
	    $(call or-say,a check failed or the fuzzer did not build; see above)

demo: build ## kill an upload halfway, resume it, and count every byte
	@Tests/Demo/demo $(ARGS) $(call or-say,the demo did not finish; the reason is above)

torture: build servers ## inject faults of every kind: make torture SEED=1 MINUTES=10 [ROUND=7]
	@Tests/Torture/torture.py --seed $(SEED) --minutes $(MINUTES) $(if $(ROUND),--round $(ROUND)) $(ARGS) \
	    $(call or-say,a check failed or the torture could not run; see above)

kills: build ## kill and resume the upload of a large file many times and count every byte
	@Tests/Torture/kill_resume.py $(ARGS) $(call or-say,a check failed or the kills could not run; see above)

archive-kills: build servers ## kill mule archive a hundred times and check every file: make archive-kills [ARGS='--files 2000 --kills 20']
	@Tests/Torture/archive_kills.py $(ARGS) $(call or-say,a check failed or the kills could not run; see above)

slow-links: build ## stop mule repeatedly on slow links and measure what it keeps: make slow-links [ARGS='--link limit']
	@Tests/Torture/slow_links.py $(ARGS) $(call or-say,too little was kept or the links could not be made; see above)

crashpoints: ## kill mule, and simulate power cuts, at every ledger change and request: make crashpoints [POINTS=30]
	@MULE_CRASH_POINTS=$(POINTS) swift test $(SWIFTFLAGS) --filter "EndToEndTests.(ArchiveCrash|CrashPoint)Tests" \
	    $(call or-say,a kill cost too much; look for "error" above)

bench: build ## compare the speed with other uploaders: make bench [ARGS='--scenario far --rounds 5'], ARGS=--list
	@Benchmarks/run $(ARGS) $(call or-say,the benchmark did not finish; the reason is above)

peers: deps ## install other uploaders for make bench, under .build/bench-peers: make peers [ARGS=s5cmd]
	@Benchmarks/install-peers $(ARGS) $(call or-say,not all could be installed; see above)

sanitize: servers ## run all tests with the thread and the address sanitizer
	@MULE_TEST_SANITIZER=thread swift test --sanitize=thread --scratch-path .build/tsan $(SWIFTFLAGS) \
	    $(call or-say,the thread sanitizer found something or a test failed; look for "WARNING" and "error" above)
	@LSAN_OPTIONS=suppressions=Tests/Support/leaks-of-others.txt MULE_TEST_SANITIZER=address swift test --sanitize=address --scratch-path .build/asan $(SWIFTFLAGS) \
	    $(call or-say,the address sanitizer found something or a test failed; look for "ERROR" and "error" above)

# Builds nothing: `sudo make install` must not leave a .build that belongs to root.
install: ## install the built binary, its documentation and systemd units under DESTDIR PREFIX (/usr/local)
	@test -x $(MULE) $(call or-say,$(MULE) does not exist; run make build first - not as root)
	@install -D -m 755 $(MULE) "$(DESTDIR)$(PREFIX)/bin/mule" \
	    $(call or-say,cannot write under $(DESTDIR)$(PREFIX); try sudo make install or another PREFIX)
	@place() { if [ -f "$$1" ]; then install -D -m 644 "$$1" "$(DESTDIR)$(PREFIX)/share/$$2"; fi; }; \
	    set -e -o pipefail; \
	    place docs/man/mule.1 man/man1/mule.1; \
	    place docs/man/mule-config.5 man/man5/mule-config.5; \
	    place README.md doc/mule/README.md; \
	    place LICENSE doc/mule/LICENSE; \
	    place config.example.json doc/mule/config.example.json; \
	    complete() { $(MULE) completion $$1 | install -D -m 644 /dev/stdin "$(DESTDIR)$(PREFIX)/share/$$2"; }; \
	    complete bash bash-completion/completions/mule; \
	    complete zsh $(ZSH_FUNCTIONS)/_mule; \
	    complete fish fish/vendor_completions.d/mule.fish; \
	    place docs/unattended.md doc/mule/unattended.md; \
	    place docs/containers.md doc/mule/containers.md; \
	    for file in Examples/containers/*; do place "$$file" "doc/mule/examples/containers/$${file##*/}"; done; \
	    for unit in docs/systemd/mule-*; do \
	        sed 's|@BINDIR@|$(PREFIX)/bin|' "$$unit" | \
	            install -D -m 644 /dev/stdin "$(DESTDIR)$(PREFIX)/lib/systemd/system/$${unit##*/}"; \
	    done; \
	    install -D -m 644 Packaging/mule.sysusers "$(DESTDIR)$(PREFIX)/lib/sysusers.d/mule.conf"; \
	    install -D -m 644 Packaging/mule.tmpfiles "$(DESTDIR)$(PREFIX)/lib/tmpfiles.d/mule.conf"
	@echo "make install: $(DESTDIR)$(PREFIX)/bin/mule"

deb: build ## build Debian packages, .build/mule_VERSION_ARCH.deb and mule-dbgsym
	@.ci/deb $(MULE) $(call or-say,the package could not be built; the reason is above)

package-test: deb ## install and use the Debian package in minimal Debian 12 and 13 systems (as root; downloads them)
	@Tests/Package/run $(ARGS) $(call or-say,the package has a fault or the test could not run; see above)

clean: ## remove build products; keep the installed test servers, peers and Debian systems
	@test ! -d .build || find .build -mindepth 1 -maxdepth 1 ! -name servers ! -name bench-peers ! -name chroots -exec rm -rf {} + \
	    $(call or-say,could not remove all of .build)

distclean: ## remove all of .build
	@rm -rf .build $(call or-say,could not remove .build)
