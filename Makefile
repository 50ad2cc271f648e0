# roomd: make run starts a room on embedded defaults; make test passes every test. Both install what they need.
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOTESTSUM := gotest.tools/gotestsum@v1.13.0
ACTIONLINT := github.com/rhysd/actionlint/cmd/actionlint@v1.7.7
DATA ?= $(CURDIR)/.run

.PHONY: build run test sound lamps beside race vet check page browser pictures bench bench-desk bars bars-lights faults faults-desk soak fuzz ui dist dist-test card card-test release release-test setup clean

# Without cgo, as roomd is shipped: then build, vet, staticcheck and the tests have one compilation of everything between them. Only
# the race detector needs cgo.
export CGO_ENABLED := 0

build:
	go build -ldflags '-s -w -X main.version=$(VERSION)' -o bin/roomd ./cmd/roomd

run:
	@rig/setup run
	@$(MAKE) --no-print-directory build
	@bin/roomd serve --data $(DATA) --link

setup:
	@rig/setup test

# Real sound runs first and alone: any load, even in the scheduler's idle class, can delay a decoder. Real lamps mostly wait, so the checks and
# the tests within a package run beside them, in the idle class. Tests that start roomd as a process, and the browser's, come last.
# What takes long or only computes (rig.Long, rig.Arithmetic and rig.Apart name themselves) runs without the race detector, at the priority
# that roomd gives to decoders nobody waits for: those would else get next to nothing, and tests would wait for minutes. SQLite, which is C
# made into Go and the most there is to compile, is not watched for races; what calls it is. What each change can't afford is rig.OnlyBars:
# make bars.
SOUND := Session|StartedFromSleep|SessionOnPulseAudio|Headphones|SetupPlays|TrackIsLostInMidPlay|TakenUpFromSilence|Scripts|NetworkGoes
LAMPS := Faults.*|Trial|Show|Zigbee|ZigbeeRequests|TasmotaOverABroker|CommissionOverWifi
# Tests that time sound and light fail if the computer stalls. If one or two fail, each is rerun once, alone; both results are printed.
REAL := go run $(GOTESTSUM) --format standard-quiet --rerun-fails=1 --rerun-fails-max-failures=2 --rerun-fails-run-root-test
RACE := env CGO_ENABLED=1 go test -race -vet=off -shuffle=on -gcflags=modernc.org/libc/...=-race=false -gcflags=modernc.org/sqlite/lib=-race=false
IDLE := $(shell chrt --idle 0 true 2>/dev/null && echo chrt --idle 0 || echo nice -n 19)
LONG := env ROOMD_LONG=1 nice -n 10 go test -vet=off -shuffle=on -timeout 30m -parallel 6 -run "$$(rig/named Long Arithmetic Apart)" -skip '^Test($(SOUND)|$(LAMPS))$$'

test:
	@$(MAKE) --no-print-directory -j 2 --output-sync setup vet
	@$(MAKE) --no-print-directory sound
	@$(MAKE) --no-print-directory -j 2 --output-sync lamps beside
	nice -n 10 $(RACE) ./player/output
	$(LONG) ./cmd/roomd
	$(MAKE) browser

sound:
	ROOMD_LONG=1 $(REAL) --packages ./cmd/roomd -- -vet=off -shuffle=on -timeout 30m -parallel 6 -run '^Test($(SOUND))$$'

lamps:
	ROOMD_LONG=1 $(REAL) --packages ./room/lights -- -vet=off -shuffle=on -timeout 30m -parallel 6 -run '^Test($(LAMPS))$$'

beside:
	$(IDLE) $(MAKE) --no-print-directory check race
	$(IDLE) $(LONG) $$(go list ./... | grep -v cmd/roomd)

race:
	$(RACE) -p 4 $$(go list ./... | grep -v player/output)

vet:
	go vet ./...

check: vet
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "gofmt would change: $$out"; exit 1; fi
	go run $(STATICCHECK) ./...
	@rig/vulncheck
	go run $(ACTIONLINT)

# The page is built from its sources as it is kept.
page:
	cd web/ui && npm ci --silent && npm run --silent check && npm test --silent && npm run --silent build
	git diff --exit-code --stat web/ui/dist

browser: page build
	cd web/e2e && npm ci --silent && npm test --silent

# Every screen in web/e2e/shots, to be looked at; those in docs are among them.
pictures: build
	cd web/e2e && npm ci --silent && ROOMD_PICTURES=1 node --test --test-concurrency=2 scenes.test.js clinic.test.js
	cd web/e2e/shots && for p in before=before session=held emergency=emergency summary=ended desk=music steer=steer-coming; do \
		cp $${p#*=}-amber-1180x820.png ../../../docs/$${p%=*}.png; done && cp journey-en-390x844.png ../../../docs/phone.png && cp clinic-twenty-desk.png ../../../docs/clinic.png

bench:
	@rig/setup bench
	go test -run '^$$' -bench . -benchmem -timeout 2h ./...

# What takes too long for every change.
bars: setup
	for to in windows/amd64 darwin/arm64; do GOOS=$${to%/*} GOARCH=$${to#*/} go build ./... || exit 1; done
	ROOMD_LONG=1 go test ./cmd/roomd -run Corpus -corpus 30 -steered 30 -v -timeout 60m
	go test ./cmd/roomd -run Kill -kills 200 -v -timeout 30m
	ROOMD_BARS=1 go test -p 1 -parallel 1 -run "$$(rig/named OnlyBars)" -skip 'Desk|HundredRooms|Flooded|AnyOfSeven' -v -timeout 180m ./...
	ROOMD_BARS=1 go test ./room -run 'RandomCommands|TestSteering$$|Revise|Change|Notices' -rapid.checks=3000 -v -timeout 60m
	ROOMD_EDITS=100000 go test ./playlists -run EditProperty -v -timeout 60m
	ROOMD_LONG=1 go test ./cmd/roomd -run 'ErasedSession|RoomsOnOneBroker' -raw 1h -two-rooms 10m -v -timeout 90m
	ROOMD_LONG=1 go test ./player/decode -run Mutated -decode.mutations=2000 -v -timeout 60m
	ROOMD_BARS=1 ROOMD_LONG=1 go test ./room -run TestCourse -rapid.checks=500 -v -timeout 60m
	go test ./player -run 'NothingSudden|WhateverIsWished' -places 1000 -wishes 1000 -v -timeout 30m
	cd web/e2e && npm ci --silent && ROOMD_BARS=1 node --test scenes.test.js && ROOMD_BARS=1 node --test --test-name-pattern='a thousand rooms|: dark' clinic.test.js && ROOMD_BARS=1 node --test --test-concurrency=1 line.test.js outage.test.js session.test.js

# The faults of docs/lights.md at their full length: an hour, a line for each figure.
bars-lights: setup
	ROOMD_BARS=1 go test ./room/lights -run 'Faults|ThreeHours|NoisyReports' -v -timeout 90m
	ROOMD_BARS=1 go test ./cmd/roomd -run 'TestLights|TestBroker|TestFlooded' -v -timeout 60m

# Random scripts of commands and faults, a minute each, SCRIPTS of them from SEED on; a script that fails tells its seed.
SCRIPTS ?= 50
SEED ?= 1
ROOMS ?= 6
faults: setup
	ROOMD_LONG=1 go test ./cmd/roomd -run TestScripts -scripts $(SCRIPTS) -script.seed $(SEED) -script.workers $(ROOMS) -parallel $(ROOMS) -timeout 0

# A clinic's desk: DESK_ROOMS rooms with a change a second each and two pages; then the desk killed KILLS times for a minute, and frozen, links
# cut at random for CUTS (as root, half of them by the cable), a thousand reconnects at once, whole rooms and desks with wrong clocks. A line
# for each figure.
bench-desk: DESK_ROOMS ?= $(if $(filter command% environment%,$(origin ROOMS)),$(ROOMS),1000)
bench-desk: setup
	ROOMD_BARS=1 go test ./room/clinic -run TestDeskBars -rooms $(DESK_ROOMS) -v -timeout 30m

KILLS ?= 3
CUTS ?= 2m
faults-desk: DESK_ROOMS ?= $(if $(filter command% environment%,$(origin ROOMS)),$(ROOMS),1000)
faults-desk: setup
	ROOMD_BARS=1 go test ./room/clinic -run 'TestDesk[^B]' -rooms $(DESK_ROOMS) -desk-kills $(KILLS) -cuts $(CUTS) -v -timeout 0
	ROOMD_LONG=1 ROOMD_BARS=1 go test ./cmd/roomd -run 'TestClinicDeskGone|TestWrongClocks|TestClockIsSet' -v -timeout 20m
	ROOMD_BARS=1 go test ./web/desk -run HundredRooms -v -timeout 30m

# Sessions of ten minutes on a sound card, one after the other: nothing grows.
HOURS ?= 1
soak: setup
	ROOMD_BARS=1 go test ./cmd/roomd -run TestSoak -soak $(HOURS)h -v -timeout 0

# Debian packages for amd64, arm64 and armhf, into bin/dist.
dist:
	@rig/dist

# The package in a Debian of its own under systemd: installed, paired, a session, upgraded in the middle of it, purged. As root.
dist-test:
	@rig/dist-test

# A release in bin/release, signed by RELEASE_KEY: docs/release.md. release-test builds one twice and compares.
release:
	@RELEASE_KEY='$(RELEASE_KEY)' rig/release

release-test:
	@rig/release-test

# What a card needs to become a room by itself, and a sheet to print: make card ROOM=Willow. CARD has further options of roomd card.
CARD ?=
card: dist build
	@bin/roomd card "$(ROOM)" --packages bin/dist $(CARD)

# A card's first boot under cloud-init, in a Debian of its own, up to the first session. As root.
card-test:
	@rig/card-test

# Each fuzz target for FUZZTIME, one after the other. What it finds is kept under testdata/fuzz and run by every test.
FUZZTIME ?= 30s
fuzz: setup
	@rig/fuzz $(FUZZTIME)

ui:
	cd web/ui && npm ci --silent && npm run --silent build

clean:
	rm -rf bin .run
