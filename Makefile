# Gatehouse. `make` alone says what there is.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL: # two cores are busy with one thing at a time
MAKEFLAGS += --no-print-directory

FUZZTIME ?= 30s

# A folder of tests is part of `make test` from the moment it holds a test.
holds  = $(wildcard test/$(1)/*_test.go test/$(1)/*/*_test.go)
go-test = $(if $(call holds,$(1)),$(2) go test -count=1 -timeout $(3) ./test/$(1)/...,@echo "test/$(1) holds no tests")

# What the tests of a folder need from npm.
node = $(patsubst %/package-lock.json,%/node_modules,$(wildcard test/$(1)/package-lock.json))

# Runs a command with a throw-away Postgres, or with TEST_DATABASE_URL.
PGRUN := go run ./test/pgtest/pgrun --

# Linters are built once for each Go release and version of theirs.
TOOLS := .cache/tools/$(shell go env GOVERSION)
export GOLANGCI_LINT_CACHE := $(CURDIR)/.cache/golangci-lint

# git does not show the history of a clone that belongs to somebody else, and
# the build would ask for it.
ifneq ($(shell git rev-parse HEAD >/dev/null 2>&1 && echo known),known)
export GOFLAGS := $(strip $(GOFLAGS) -buildvcs=false)
endif

##@ Run

.PHONY: help
help: ## Show what there is
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/gatehouse, static
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/gatehouse

.PHONY: demo
demo: build ## Show the whole life of a token as curl commands, and check each step
	@./bin/gatehouse demo

.PHONY: dev
dev: build ## Run both servers on this machine with demo clients
	@exec ./bin/gatehouse dev

##@ Check

.PHONY: test
test: vet lint race integration $(foreach t,e2e conformance browser,$(if $(call holds,$(t)),$(t))) compose-check ## Everything CI runs

.PHONY: vet
vet: ## go vet
	go vet ./...

.PHONY: lint
lint: $(TOOLS)/golangci-lint ## golangci-lint with staticcheck in it, by .golangci.yaml
	$(TOOLS)/golangci-lint run

.PHONY: unit
unit: ## Tests that need nothing but Go
	go test -timeout 10m $$(.ci/packages plain)

.PHONY: race
race: need-cgo ## The same with the race detector, in random order
	go test -race -shuffle=on -timeout 15m $$(.ci/packages plain)

.PHONY: integration
integration: need-cgo need-postgres ## Tests that use Postgres: storage suite, both servers; with the race detector
	$(PGRUN) go test -race -shuffle=on -timeout 15m $$(.ci/packages postgres)

.PHONY: e2e
e2e: need-postgres $(call node,e2e) ## The binary as a stranger would use it, and the clients of others
	@.ci/need curl:curl
	go test -count=1 -timeout 15m -run '^(TestScript|TestDemo)' -v ./cmd/gatehouse
	$(if $(call holds,e2e),$(call go-test,e2e,$(PGRUN),15m))

.PHONY: conformance
conformance: $(call node,conformance) ## The official MCP suite
	go test -tags conformance -count=1 -timeout 15m -v ./test/conformance/...

.PHONY: browser
browser: $(call node,browser) $(call node,e2e) ## A real browser at the pages
	@$(if $(call holds,browser),.ci/need chromium:chromium)
	$(call go-test,browser,,15m)

.PHONY: compose-check
compose-check: build ## docker-compose.yml and the settings in deploy/ are valid
	@docker compose version >/dev/null 2>&1 || .ci/need docker-compose:docker-compose
	@if docker compose version >/dev/null 2>&1; then set -x; docker compose config --quiet; else set -x; docker-compose config --quiet; fi
	./bin/gatehouse config check --config deploy/gatehouse.yaml

##@ Measure and attack

.PHONY: bench
bench: need-postgres ## Benchmarks
	$(PGRUN) go test -run='^$$' -bench=. -benchmem -timeout 60m \
		$(or $(shell grep -rlE '^func Benchmark' --include='*_test.go' . | xargs -r dirname | sort -u),./test)
	$(if $(wildcard test/bench/main.go),$(PGRUN) go run ./test/bench)

.PHONY: fuzz
fuzz: ## Every fuzz target for FUZZTIME (30s)
	@.ci/fuzz $(FUZZTIME)

.PHONY: fault
fault: need-postgres ## Servers and databases that fail at the wrong moment
	$(call go-test,fault,,30m)

.PHONY: pentest
pentest: build ## Attack a running pair, with scanners and by hand; new findings fail
	@test/pentest/run bin/gatehouse

##@ Keep house

.PHONY: install-tools
install-tools: $(TOOLS)/golangci-lint need-cgo need-postgres ## Install what the checks need

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin .cache test/*/node_modules

.PHONY: need-cgo
need-cgo: # the race detector links C
	@.ci/need gcc:gcc /usr/include/stdlib.h:libc6-dev

.PHONY: need-postgres
need-postgres:
	@[[ -n $${TEST_DATABASE_URL:-} ]] || .ci/need initdb:postgresql postgres:postgresql

$(TOOLS)/golangci-lint: .ci/tools/go.mod .ci/tools/go.sum
	@echo "building golangci-lint (once, about a minute)"
	@go -C .ci/tools build -o $(CURDIR)/$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

test/%/node_modules: test/%/package-lock.json
	@.ci/need node:nodejs npm:npm
	npm ci --ignore-scripts --silent --no-audit --no-fund --prefix $(@D)
	@touch $@
