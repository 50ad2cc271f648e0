package main

import (
	"context"

	"roomd/room"
)

func simulateLights(_ context.Context, _ *call, _ room.Config, _, _ string) error { return nil }

func testLights(_ context.Context, _ *call, _ room.Config, _ string, _ int) error { return nil }
