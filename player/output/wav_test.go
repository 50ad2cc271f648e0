package output

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roomd/rig"
)

func TestWAVIsWholeAfterClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.wav")
	w, err := CreateWAV(path, 44100)
	if err != nil {
		t.Fatal(err)
	}
	const frames = 44100 * 5
	block := make([][2]float64, 1000)
	for k := 0; k < frames; k += len(block) {
		for i := range block {
			block[i] = [2]float64{float64(k+i) / (1 << 23), -float64(k+i) / (1 << 23)}
		}
		if err := w.Write(block[:min(len(block), frames-k)]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	if got := le.Uint32(b[4:]); string(b[:4]) != "RIFF" || int(got) != len(b)-8 {
		t.Errorf("RIFF size %d of a file of %d", got, len(b))
	}
	if got := le.Uint32(b[wavHeader-4:]); got != frames*6 || len(b) != wavHeader+frames*6 {
		t.Errorf("data size %d", got)
	}
	for k, f := range rig.Frames(b[wavHeader:], 24) {
		if want := float64(k) / (1 << 23); f != [2]float64{want, -want} {
			t.Fatalf("frame %d is %v", k, f)
		}
	}
	limit, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(limit, "ffprobe", "-v", "error", "-show_entries", "stream=codec_name,sample_rate,channels,duration_ts", "-of", "csv=p=0", path).CombinedOutput()
	if got := strings.TrimSpace(string(out)); err != nil || got != "pcm_s24le,44100,2,220500" {
		t.Errorf("ffprobe: %q, %v", got, err)
	}
}

// A file of 4.5 GiB is sparse here: the header is what counts.
func TestAWAVOverFourGiBBecomesAnRF64(t *testing.T) {
	path := filepath.Join(t.TempDir(), "long.wav")
	w, err := CreateWAV(path, 96000)
	if err != nil {
		t.Fatal(err)
	}
	const frames = 800_000_000
	if err := w.Write(make([][2]float64, 1)); err != nil {
		t.Fatal(err)
	}
	w.frames = frames
	if err := os.Truncate(path, wavHeader+frames*6); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	head := make([]byte, wavHeader)
	if _, err := io.ReadFull(f, head); err != nil || !bytes.HasPrefix(head, []byte("RF64\xff\xff\xff\xffWAVEds64")) {
		t.Errorf("% x, %v", head, err)
	}
	limit, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(limit, "ffprobe", "-v", "error", "-show_entries", "stream=codec_name,sample_rate,duration_ts", "-of", "csv=p=0", path).CombinedOutput()
	if got := strings.TrimSpace(string(out)); err != nil || got != "pcm_s24le,96000,800000000" {
		t.Errorf("ffprobe: %q, %v", got, err)
	}
}

func TestAFileThatCannotBeWrittenSaysSo(t *testing.T) {
	if _, err := CreateWAV(filepath.Join(t.TempDir(), "no", "out.wav"), 48000); err == nil {
		t.Error("a file is created in no folder")
	}
	full, err := CreateWAV("/dev/full", 48000)
	for k := 0; k < 100 && err == nil; k++ {
		err = full.Write(quiet(960))
	}
	if err == nil {
		t.Error("a full disk takes it all")
	}
	if err := full.Close(); err == nil {
		t.Error("a file that is cut short closes as if it were whole")
	}
}

func BenchmarkWAV(b *testing.B) {
	w, err := CreateWAV(filepath.Join(b.TempDir(), "out.wav"), 48000)
	if err != nil {
		b.Fatal(err)
	}
	block := make([][2]float64, 960)
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Write(block); err != nil {
			b.Fatal(err)
		}
		w.frames = 0
	}
	b.ReportMetric(float64(b.N)*0.02/b.Elapsed().Seconds(), "x-real-time")
}
