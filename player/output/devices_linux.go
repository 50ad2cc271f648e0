package output

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// rates are those that are asked for.
var rates = []int{44100, 48000, 88200, 96000}

// Device is one that a Line can play on.
type Device struct {
	Name        string `json:"name"` // for Config.Device
	Description string `json:"description"`
	Rates       []int  `json:"rates"` // Hz, of 44100, 48000, 88200 and 96000, taken without resampling; empty where the device is in use or dumb
}

// Rates asks a device which of 44100, 48000, 88200 and 96000 Hz it takes without resampling. A device that a Line plays on may
// answer EBUSY, so it is asked before.
func Rates(device string) ([]int, error) {
	lib, err := loadALSA()
	if err != nil {
		return nil, err
	}
	type answer struct {
		rates []int
		err   error
	}
	result := make(chan answer, 1)
	go func() {
		r, err := lib.rates(lib.pcmName(device))
		result <- answer{r, err}
	}()
	select {
	case a := <-result:
		return a.rates, a.err
	case <-time.After(time.Second):
		return nil, fmt.Errorf("ask %q for its rates: %w", device, errHangs)
	}
}

func (lib *libasound) rates(name string) ([]int, error) {
	var pcm, hw uintptr
	if err := lib.check("open "+name, lib.open(&pcm, name, streamPlayback, openNonblock|openNoResample)); err != nil {
		return nil, err
	}
	defer lib.close(pcm)
	if err := lib.check("parameters", lib.hwMalloc(&hw)); err != nil {
		return nil, err
	}
	defer lib.hwFree(hw)
	if err := lib.check("parameters of "+name, lib.hwAny(pcm, hw)); err != nil {
		return nil, err
	}
	var taken []int
	for _, r := range rates {
		if lib.testRate(pcm, hw, uint32(r), 0) == 0 {
			taken = append(taken, r)
		}
	}
	return taken, nil
}

// HasDevice tells whether the device ("" for the default one) is there; one that another program uses is.
func HasDevice(device string) bool {
	_, err := Rates(device)
	return err == nil || errors.Is(err, syscall.EBUSY)
}

// Devices lists what ALSA offers to play on: the default, each card as plughw, and the pcms that the configuration names.
// It takes up to a second for each device that hangs.
func Devices() ([]Device, error) {
	lib, err := loadALSA()
	if err != nil {
		return nil, err
	}
	var hints unsafe.Pointer
	if err := lib.check("list sound devices", lib.nameHint(-1, "pcm", &hints)); err != nil {
		return nil, err
	}
	defer lib.freeHints(hints)
	var found []Device
	for i := 0; ; i++ {
		hint := *(*unsafe.Pointer)(unsafe.Add(hints, i*int(unsafe.Sizeof(hints))))
		if hint == nil {
			break
		}
		name := lib.text(lib.getHint(hint, "NAME"))
		about := lib.text(lib.getHint(hint, "DESC"))
		if direction := lib.text(lib.getHint(hint, "IOID")); direction == "Input" || !offered(name) {
			continue
		}
		d := Device{Name: name, Description: strings.ReplaceAll(about, "\n", ", ")}
		if d.Rates, err = Rates(name); err != nil && !errors.Is(err, syscall.EBUSY) {
			continue
		}
		found = append(found, d)
	}
	return found, nil
}

// offered leaves out ALSA's building blocks and its many other names for the same card.
func offered(name string) bool {
	kind, _, card := strings.Cut(name, ":")
	if card {
		return kind == "plughw"
	}
	switch kind {
	case "null", "jack", "oss", "speex", "speexrate", "samplerate", "lavrate", "upmix", "vdownmix", "usbstream":
		return false
	}
	return true
}
