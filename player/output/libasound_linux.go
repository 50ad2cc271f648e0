package output

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"unsafe"

	"github.com/ebitengine/purego"
)

var errNoLibrary = errors.New("ALSA's library is not there")

// Values of alsa/pcm.h.
const (
	streamPlayback    = 0
	accessInterleaved = 3
	statePrepared     = 2

	openNonblock   = 0x1
	openNoResample = 0x10000
	openNoChannels = 0x20000
	openNoFormat   = 0x40000
)

// formatNumber is ALSA's number of a format.
var formatNumber = map[string]int32{s16.name: 2, s24.name: 6, s32.name: 10, s243.name: 32}

// libasound holds the functions of ALSA's library that are used. C's long and unsigned long are int and uintptr: they have the
// same width on every Linux that Go knows.
type libasound struct {
	strerror        func(code int32) string
	setErrorHandler func(fn uintptr) int32
	cardIndex       func(name string) int32

	open    func(pcm *uintptr, name string, stream, mode int32) int32
	close   func(pcm uintptr) int32
	prepare func(pcm uintptr) int32
	resume  func(pcm uintptr) int32
	start   func(pcm uintptr) int32

	hwMalloc      func(params *uintptr) int32
	hwFree        func(params uintptr)
	hwAny         func(pcm, params uintptr) int32
	setAccess     func(pcm, params uintptr, access int32) int32
	setFormat     func(pcm, params uintptr, format int32) int32
	setChannels   func(pcm, params uintptr, n uint32) int32
	setRate       func(pcm, params uintptr, rate uint32, dir int32) int32
	testRate      func(pcm, params uintptr, rate uint32, dir int32) int32
	setBufferNear func(pcm, params uintptr, frames *uintptr) int32
	setPeriodNear func(pcm, params uintptr, frames *uintptr, dir *int32) int32
	hwParams      func(pcm, params uintptr) int32
	getBuffer     func(params uintptr, frames *uintptr) int32
	swMalloc      func(params *uintptr) int32
	swFree        func(params uintptr)
	swCurrent     func(pcm, params uintptr) int32
	setStart      func(pcm, params, frames uintptr) int32
	swParams      func(pcm, params uintptr) int32
	nameHint      func(card int32, iface string, hints *unsafe.Pointer) int32
	getHint       func(hint unsafe.Pointer, id string) unsafe.Pointer
	freeHints     func(hints unsafe.Pointer) int32
	free          func(p unsafe.Pointer)

	// Called for each block, so by address: a typed call allocates.
	avail, writei, delay, state uintptr
}

var loaded struct {
	sync.Mutex
	lib *libasound
}

// loadALSA loads the library once. Where it is missing it is looked for again at the next call.
func loadALSA() (*libasound, error) {
	loaded.Lock()
	defer loaded.Unlock()
	if loaded.lib != nil {
		return loaded.lib, nil
	}
	lib, err := load("libasound.so.2")
	if err == nil {
		loaded.lib = lib
	}
	return lib, err
}

func load(name string) (*libasound, error) {
	so, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoLibrary, err)
	}
	lib := &libasound{}
	for name, fn := range map[string]any{
		"snd_strerror": &lib.strerror, "snd_lib_error_set_handler": &lib.setErrorHandler, "snd_card_get_index": &lib.cardIndex,
		"snd_pcm_open": &lib.open, "snd_pcm_close": &lib.close, "snd_pcm_prepare": &lib.prepare, "snd_pcm_resume": &lib.resume,
		"snd_pcm_start":            &lib.start,
		"snd_pcm_hw_params_malloc": &lib.hwMalloc, "snd_pcm_hw_params_free": &lib.hwFree, "snd_pcm_hw_params_any": &lib.hwAny,
		"snd_pcm_hw_params_set_access": &lib.setAccess, "snd_pcm_hw_params_set_format": &lib.setFormat,
		"snd_pcm_hw_params_set_channels": &lib.setChannels, "snd_pcm_hw_params_set_rate": &lib.setRate,
		"snd_pcm_hw_params_test_rate": &lib.testRate, "snd_pcm_hw_params_set_buffer_size_near": &lib.setBufferNear,
		"snd_pcm_hw_params_set_period_size_near": &lib.setPeriodNear, "snd_pcm_hw_params": &lib.hwParams,
		"snd_pcm_hw_params_get_buffer_size": &lib.getBuffer,
		"snd_pcm_sw_params_malloc":          &lib.swMalloc, "snd_pcm_sw_params_free": &lib.swFree, "snd_pcm_sw_params_current": &lib.swCurrent,
		"snd_pcm_sw_params_set_start_threshold": &lib.setStart, "snd_pcm_sw_params": &lib.swParams,
		"snd_device_name_hint": &lib.nameHint, "snd_device_name_get_hint": &lib.getHint, "snd_device_name_free_hint": &lib.freeHints,
		"free":          &lib.free,
		"snd_pcm_avail": &lib.avail, "snd_pcm_writei": &lib.writei, "snd_pcm_delay": &lib.delay, "snd_pcm_state": &lib.state,
	} {
		address, err := purego.Dlsym(so, name)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNoLibrary, err)
		}
		if plain, ok := fn.(*uintptr); ok {
			*plain = address
			continue
		}
		purego.RegisterFunc(fn, address)
	}
	// The library prints each failed opening on standard error, which is four times a second here. A function of
	// C that takes no argument makes a silent handler, since the caller cleans up the arguments.
	if silent, err := purego.Dlsym(so, "getppid"); err == nil {
		lib.setErrorHandler(silent)
	}
	return lib, nil
}

// alsaError is a negative answer of the library.
type alsaError struct {
	errno syscall.Errno
	text  string // the library's words
}

func (e *alsaError) Error() string { return e.text }
func (e *alsaError) Unwrap() error { return e.errno }

// check turns an answer into an error that says what was done.
func (lib *libasound) check(what string, answer int32) error {
	if answer >= 0 {
		return nil
	}
	return fmt.Errorf("%s: %w", what, &alsaError{syscall.Errno(-answer), lib.strerror(answer)})
}

// text reads and frees a string of C's; empty for none.
func (lib *libasound) text(p unsafe.Pointer) string {
	if p == nil {
		return ""
	}
	n := 0
	for *(*byte)(unsafe.Add(p, n)) != 0 {
		n++
	}
	s := string(unsafe.Slice((*byte)(p), n))
	lib.free(p)
	return s
}
