# SPDX-License-Identifier: Apache-2.0
#
# The short way to the presets of CMakePresets.json. `make help` lists the targets.
JOBS ?= $(shell nproc 2>/dev/null || echo 2)

.DEFAULT_GOAL := help
.PHONY: help demo build test lint format install clean

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1|/p' $(MAKEFILE_LIST) | \
	    awk -F'|' '{ printf "%-16s %s\n", $$1, $$2 }'

demo: ## Build, compare routing policies on a shipped trace, leave a report in out/
	@scripts/deps.sh
	cmake --preset release >/dev/null
	cmake --build --preset release --target stacksim -j $(JOBS)
	scripts/demo.sh

build: ## Build the release preset with its tests, in build/release
	@scripts/deps.sh
	cmake --preset release
	cmake --build --preset release -j $(JOBS)

test: ## Build the dev preset (ASan, UBSan, all checks) and run every test
	@scripts/deps.sh --dev
	cmake --preset dev
	cmake --build --preset dev -j $(JOBS)
	ctest --preset dev -j $(JOBS)

lint: ## Check format and run clang-tidy on our files
	@scripts/deps.sh --dev
	scripts/lint.sh

format: ## Format our files
	@scripts/deps.sh --dev
	scripts/lint.sh --fix

# The program looks for its configs under the prefix it was configured with.
install: ## Build release and install it to PREFIX (default /usr/local)
	@scripts/deps.sh
	cmake --preset release -DCMAKE_INSTALL_PREFIX=$(or $(PREFIX),/usr/local)
	cmake --build --preset release --target stacksim -j $(JOBS)
	cmake --install build/release

clean: ## Remove all build folders and the results in out/
	rm -rf build out
