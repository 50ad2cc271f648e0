package loudness_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"roomd/player/loudness"
	"roomd/rig"
)

// sheet is a piece of music that is being written: voices are added to it.
type sheet struct {
	rate   int
	frames [][2]float64
	r      *rand.Rand
}

func newSheet(rate int, seconds float64, seed uint64) *sheet {
	return &sheet{rate, make([][2]float64, int(seconds*float64(rate))), rand.New(rand.NewPCG(seed, 9))}
}

// voice is how a note sounds: how many partials it has, each as loud as its number to the power of -roll, and how it begins and ends.
type voice struct {
	partials            int
	roll                float64
	attack, decay, hold float64 // s: the rise; the time constant of the fall after it, 0: none; the release
	pan                 float64 // 0: both sides alike; else from near 0, left, to 1, right
}

var (
	organ  = voice{partials: 4, roll: 2, attack: 3, hold: 3}
	bright = voice{partials: 12, roll: 1, attack: 0.08, hold: 0.3}
	pad    = voice{partials: 6, roll: 1.5, attack: 2.5, hold: 3}
	piano  = voice{partials: 6, roll: 1.6, attack: 0.01, decay: 1.2, hold: 0.3}
	harp   = voice{partials: 8, roll: 1.3, attack: 0.005, decay: 0.5, hold: 0.1}
	pluck  = voice{partials: 8, roll: 1.3, attack: 0.005, decay: 0.08, hold: 0.1}
	saw    = voice{partials: 20, roll: 1, attack: 0.02, decay: 0.8, hold: 0.1}
)

// note adds a note from at on, for length seconds and its release.
func (s *sheet) note(v voice, at, length, hz, db float64) {
	rate := float64(s.rate)
	left, right := gain(db)*math.Cos(v.pan*math.Pi/2), gain(db)*math.Sin(v.pan*math.Pi/2)
	if v.pan == 0 {
		left, right = gain(db), gain(db)
	}
	// Each partial is a turning pointer.
	step, point, roll := make([]complex128, 0, v.partials), make([]complex128, v.partials), make([]float64, v.partials)
	for k := 1; k <= v.partials && hz*float64(k) < 7000 && hz*float64(k) < rate*0.45; k++ {
		sin, cos := math.Sincos(2 * math.Pi * hz * float64(k) / rate)
		step = append(step, complex(cos, sin))
		sin, cos = math.Sincos(2 * math.Pi * s.r.Float64())
		point[k-1], roll[k-1] = complex(cos, sin), math.Pow(float64(k), -v.roll)
	}
	for i := max(0, int(at*rate)); i < min(int((at+length+v.hold)*rate), len(s.frames)); i++ {
		t := float64(i)/rate - at
		e := min(t/v.attack, 1)
		if v.decay > 0 && t > v.attack {
			e = math.Exp((v.attack - t) / v.decay)
		}
		if t > length {
			e *= max(0, 1-(t-length)/v.hold)
		}
		var sum float64
		for k := range step {
			point[k] *= step[k]
			sum += roll[k] * imag(point[k])
		}
		s.frames[i][0] += left * e * sum
		s.frames[i][1] += right * e * sum
	}
}

// hit adds a beat of noise, whose brightness is that of a low-pass at hz.
func (s *sheet) hit(at, decay, hz, db float64) {
	rate := float64(s.rate)
	var low [2]float64
	a := 1 - math.Exp(-2*math.Pi*hz/rate)
	for i := max(0, int(at*rate)); i < min(int((at+7*decay)*rate), len(s.frames)); i++ {
		e := gain(db) * math.Exp((at-float64(i)/rate)/decay) / math.Sqrt(a)
		for ch := range 2 {
			low[ch] += a * (s.r.NormFloat64() - low[ch])
			s.frames[i][ch] += e * low[ch]
		}
	}
}

// thump adds a beat of a drum: a tone that falls to hz.
func (s *sheet) thump(at, decay, hz, db float64) {
	rate, phase := float64(s.rate), 0.0
	for i := max(0, int(at*rate)); i < min(int((at+7*decay)*rate), len(s.frames)); i++ {
		t := float64(i)/rate - at
		phase += 2 * math.Pi * hz * (1 + 2*math.Exp(-t/0.02)) / rate
		x := gain(db) * min(t/0.002, 1) * math.Exp(-t/decay) * math.Sin(phase)
		s.frames[i][0] += x
		s.frames[i][1] += x
	}
}

// wash adds noise of a low-pass at hz that swells and ebbs every so many seconds.
func (s *sheet) wash(hz, every, depth, db float64) {
	rate := float64(s.rate)
	var low [2]float64
	a := 1 - math.Exp(-2*math.Pi*hz/rate)
	for i := range s.frames {
		e := gain(db) / math.Sqrt(a) * (1 - depth*(0.5+0.5*math.Cos(2*math.Pi*float64(i)/rate/every)))
		for ch := range 2 {
			low[ch] += a * (s.r.NormFloat64() - low[ch])
			s.frames[i][ch] += e * low[ch]
		}
	}
}

func (s *sheet) seconds() float64 { return float64(len(s.frames)) / float64(s.rate) }

// pentatonic is a note of a scale over a root.
func pentatonic(root float64, i int) float64 {
	steps := []int{0, 3, 5, 7, 10}
	return root * math.Exp2(float64(i/5)+float64(steps[i%5])/12)
}

// piece writes number i of the pieces that anybody would call as intense as group says: 0 for what stands still, a drone or a bed
// of noise; 1 for slow chords; 2 for single notes over them, or a slow pulse; 3 for arpeggios; 4 for drums with all the rest.
func piece(rate int, seconds float64, group, i int) [][2]float64 {
	s := newSheet(rate, seconds, uint64(100*group+i))
	root := 55 * math.Exp2(float64(i*5%12)/12+float64(i%3))
	chords := func(v voice, every, db float64) {
		for at := -1.0; at < s.seconds(); at += every {
			from := s.r.IntN(3)
			for k := range 3 {
				s.note(v, at, every, pentatonic(root, from+2*k), db-float64(k))
			}
		}
	}
	run := func(v voice, every, low, db float64) {
		for at, k := 0.0, 0; at < s.seconds(); at, k = at+every, k+1 {
			v.pan = 0.3 + 0.4*s.r.Float64()
			s.note(v, at, every, pentatonic(low, []int{0, 2, 4, 5, 7, 5, 4, 2}[k%8]+s.r.IntN(2)), db-3*s.r.Float64())
		}
	}
	switch group {
	case 0:
		switch i % 3 {
		case 0:
			for k, hz := range []float64{root, 1.5 * root, 2.01 * root} {
				s.note(organ, -5, s.seconds()+10, hz, -14-3*float64(k))
			}
		case 1:
			s.wash(300*float64(1+i), 9, 0.6, -28)
		case 2:
			s.note(organ, -5, s.seconds()+10, root, -14)
			s.note(organ, -5, s.seconds()+10, root*1.003, -14)
			s.wash(600, 11, 0.3, -40)
		}
	case 1:
		chords(pad, 5+float64(i), -18)
		if i%2 == 1 {
			s.wash(800, 13, 0.5, -45)
		}
	case 2:
		chords(pad, 8, -26)
		if i%2 == 0 {
			run(piano, 0.9+0.15*float64(i), 2*root, -14)
		} else {
			for at := 0.0; at < s.seconds(); at += 1.1 + 0.1*float64(i) {
				s.thump(at, 0.25, 60, -12)
			}
			run(piano, 2.2, 4*root, -18)
		}
	case 3:
		chords(pad, 4, -28)
		run(harp, 0.2+0.03*float64(i), 220*math.Exp2(float64(i%4)/3), -14)
		if i%2 == 1 {
			run(piano, 0.8, root, -16)
		}
	case 4:
		beat := 0.42 + 0.03*float64(i)
		for at, k := 0.0, 0; at < s.seconds(); at, k = at+beat/2, k+1 {
			if k%4 == 0 || s.r.IntN(5) == 0 {
				s.thump(at, 0.15, 55, -8)
			}
			if k%4 == 2 {
				s.hit(at, 0.08, 5000, -24)
			}
			s.hit(at, 0.03, 9000, -32)
		}
		chords(bright, 4*beat, -24)
		run(saw, beat/4, 330, -20)
	}
	return s.frames
}

// TestIntensityOrdersPieces holds that the measure agrees with what anybody would say of pieces that differ a lot.
func TestIntensityOrdersPieces(t *testing.T) {
	rig.Arithmetic(t)
	var want, got []float64
	for group := range 5 {
		var all []float64
		for i := range 6 {
			a := analysed(t, 24000, piece(24000, 20, group, i))
			all = append(all, a.Intensity())
			want, got = append(want, float64(group)), append(got, a.Intensity())
			if x := a.Intensity(); x < 1 || x > 5 {
				t.Errorf("piece %d of group %d has an intensity of %v", i, group, x)
			}
		}
		t.Logf("group %d: %v", group+1, all)
	}
	tau := kendall(want, got)
	t.Logf("%d pieces in 5 groups: Kendall's τ %.2f", len(want), tau)
	if tau < 0.6 {
		t.Errorf("Kendall's τ is %.2f, want 0.6", tau)
	}
}

// The measure of agreement itself: of 1, 2, 3 and a ranking with one pair the wrong way round, and with ties.
func TestKendall(t *testing.T) {
	for _, c := range []struct {
		a, b []float64
		want float64
	}{
		{[]float64{1, 2, 3}, []float64{10, 20, 30}, 1}, {[]float64{1, 2, 3}, []float64{3, 2, 1}, -1}, {[]float64{1, 2, 3}, []float64{1, 3, 2}, 1 / 3.},
		{[]float64{1, 1, 2, 2}, []float64{1, 2, 3, 4}, 4 / math.Sqrt(4*6)},
	} {
		if got := kendall(c.a, c.b); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%v and %v: %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

// TestFeatures holds each feature on sounds that have a known amount of it, and nothing else differs.
func TestFeatures(t *testing.T) {
	rig.Arithmetic(t)
	const rate = 48000
	of := func(write func(s *sheet)) loudness.Features {
		s := newSheet(rate, 20, 1)
		write(s)
		return *analysed(t, rate, s.frames).Features
	}
	near := func(what string, got, want, off float64) {
		t.Helper()
		if !(math.Abs(got-want) <= off) {
			t.Errorf("%s: %.3f, want %.3f", what, got, want)
		}
	}
	// Notes over a chord that stands.
	last := loudness.Features{}
	for _, every := range []float64{2, 1, 0.5, 0.25} {
		f := of(func(s *sheet) {
			s.note(organ, -5, 30, 220, -30)
			s.note(organ, -5, 30, 330, -30)
			for i := range int(20 / every) {
				s.note(pluck, float64(i)*every, every, pentatonic(220, i*3%8), -16)
			}
		})
		near(fmt.Sprintf("onsets of a note every %v s", every), f.Onsets, 1/every, 0.1/every)
		if f.Flux <= last.Flux {
			t.Errorf("flux of a note every %v s: %.3f, after %.3f with half as many", every, f.Flux, last.Flux)
		}
		last = f
	}
	beats := of(func(s *sheet) {
		s.note(pad, -5, 30, 220, -24)
		for i := range 24 {
			s.thump(0.4+0.8*float64(i), 0.2, 60, -12)
		}
	})
	near("onsets of a drum every 0.8 s", beats.Onsets, 1.25, 0.15)
	drone := of(func(s *sheet) { s.note(organ, -5, 30, 55, -20); s.note(organ, -5, 30, 82.5, -20) })
	near("onsets of a drone that beats", drone.Onsets, 0, 0.1)
	near("flux of a drone", drone.Flux, 0.05, 0.05)
	near("low share of a drone", drone.Low, 0.95, 0.05)
	for _, hz := range []float64{200, 440, 2000} {
		f := *analysed(t, rate, tone(rate, 10, hz, -20)).Features
		near(fmt.Sprintf("centroid of %v Hz", hz), f.Centroid, hz, 25)
		near(fmt.Sprintf("clarity of %v Hz", hz), f.Clarity, 1, 0)
		near(fmt.Sprintf("low share of %v Hz", hz), f.Low, 0, 0.01)
		near(fmt.Sprintf("swell of %v Hz", hz), f.Swell, 0, 0.01)
	}
	hiss := *analysed(t, rate, noise(rate, 10, -30, 1)).Features
	near("clarity of noise", hiss.Clarity, 0.04, 0.03)
	near("centroid of noise", hiss.Centroid, 2025, 50)
	near("onsets of noise", hiss.Onsets, 0.1, 0.15)
	mixed := of(func(s *sheet) { s.note(organ, -5, 30, 440, -12); s.wash(4000, 10, 0, -40) })
	if mixed.Clarity < 0.15 || mixed.Clarity > 0.8 {
		t.Errorf("clarity of a tone in noise: %.2f", mixed.Clarity)
	}
	ramp := tone(rate, 30, 440, -40)
	for i := range ramp {
		g := gain(float64(i) / rate)
		ramp[i][0] *= g
		ramp[i][1] *= g
	}
	near("swell of a rise by 1 dB a second", analysed(t, rate, ramp).Features.Swell, 5, 0.1)
}

// TestFeaturesStay has the figures of one piece as they were first measured: a change of them is a change of each library's intensities.
func TestFeaturesStay(t *testing.T) {
	rig.Arithmetic(t)
	a := analysed(t, 48000, piece(48000, 10, 3, 1))
	f := *a.Features
	got := []float64{f.Onsets, f.Swell, f.Flux, f.Centroid, f.Low, f.Clarity, f.Sounding, a.Range, a.Intensity()}
	want := []float64{4.1, 0.47211, 0.25678, 830.93679, 0.00001, 0.69999, 10, 0.71451, 2.3}
	for i := range got {
		if math.Abs(got[i]-want[i]) > 1e-4*max(want[i], 0.1) {
			t.Fatalf("%.5f, want %.5f", got, want)
		}
	}
}

// The intensity has nothing to do with how loud a file is, at which rate it comes, or in which pieces it is read.
func TestIntensityOfTheSameSound(t *testing.T) {
	rig.Arithmetic(t)
	for group := range 5 {
		of := func(rate int, db float64) loudness.Analysis {
			f := piece(rate, 8, group, 1)
			for i := range f {
				f[i][0] *= gain(db)
				f[i][1] *= gain(db)
			}
			return analysed(t, rate, f)
		}
		first := of(48000, 0)
		if x := of(48000, -25); math.Abs(x.Intensity()-first.Intensity()) > 0.1 {
			t.Errorf("group %d 25 dB softer: %v, was %v", group, x.Intensity(), first.Intensity())
		}
		for _, rate := range []int{8000, 11025, 16000, 44100, 96000} { // at each of them the piece's noise is another
			if x := of(rate, 0); math.Abs(x.Intensity()-first.Intensity()) > 0.45 {
				t.Errorf("group %d at %d Hz: %v, was %v: %+v, %+v", group, rate, x.Intensity(), first.Intensity(), *x.Features, *first.Features)
			}
		}
	}
	f := piece(44100, 10, 4, 0)
	want := *analysed(t, 44100, f).Features
	r := rand.New(rand.NewPCG(1, 1))
	for range 3 {
		a, err := loudness.Analyse(t.Context(), &dribble{sound{frames: f}, r}, 44100)
		got := *a.Features
		if math.Abs(got.Swell-want.Swell) < 1e-9 { // the loudness of a block is a sum, whose last bit depends on its order
			got.Swell = want.Swell
		}
		if err != nil || got != want {
			t.Errorf("read in other pieces: %v %+v, want %+v", err, got, want)
		}
	}
}

// dribble gives as many frames as it likes.
type dribble struct {
	sound
	r *rand.Rand
}

func (d *dribble) Stream(samples [][2]float64) (int, bool) {
	return d.sound.Stream(samples[:1+d.r.IntN(min(len(samples), 700))])
}

// Whatever is heard, the intensity is unknown or from 1 to 5, and no feature is out of its range.
func TestIntensityOfAnything(t *testing.T) {
	rig.Arithmetic(t)
	const rate = 48000
	left := piece(rate, 6, 4, 1)
	clipped := piece(rate, 6, 4, 2)
	for i := range left {
		left[i][1] = 0
		for ch := range 2 {
			clipped[i][ch] = min(max(30*clipped[i][ch], -1), 1)
		}
	}
	dc := make([][2]float64, 6*rate)
	for i := range dc {
		dc[i] = [2]float64{0.5, 0.5}
	}
	late := tone(rate, 6, 440, -6)
	for i := range late {
		if i%(rate/10) < rate/10*9/10 {
			late[i] = [2]float64{} // all that a spectrum is made of
		}
	}
	faint := noise(rate, 6, -69, 1)
	half := slices.Concat(make([][2]float64, 6*rate), piece(rate, 6, 3, 1), make([][2]float64, 6*rate))
	for name, c := range map[string]struct {
		rate    int
		frames  [][2]float64
		unknown bool
	}{
		"nothing": {rate, nil, true}, "silence": {rate, make([][2]float64, 6*rate), true}, "one frame": {rate, tone(rate, 1./rate, 100, 0), true},
		"50 ms": {rate, tone(rate, 0.05, 100, -6), true}, "a second": {rate, piece(rate, 1, 4, 0), true}, "four seconds": {rate, piece(rate, 4, 4, 0), false},
		"noise": {rate, noise(rate, 6, -20, 1), false}, "left only": {rate, left, false}, "clipped": {rate, clipped, false},
		"dc": {rate, dc, true}, "8 kHz": {8000, piece(8000, 6, 3, 0), false}, "8001 Hz": {8001, piece(8001, 6, 2, 0), false},
		"192 kHz": {192000, tone(192000, 4, 440, -20), false}, "11 kHz and a bit": {11009, noise(11009, 6, -20, 2), false},
		"21999 Hz": {21999, noise(21999, 6, -20, 2), false}, "clicks": {rate, clicks(rate, 6, 0), true}, "square": {rate, square(rate, 6, 110, 0), false},
		"faint": {rate, faint, false}, "very loud": {rate, noise(rate, 6, 60, 1), false}, "silence around": {rate, half, false},
		"late in each block": {rate, late, false},
	} {
		a := analysed(t, c.rate, c.frames)
		f, x := *a.Features, a.Intensity()
		if (x == 0) != c.unknown || x != 0 && !(x >= 1 && x <= 5) {
			t.Errorf("%s: an intensity of %v, %+v", name, x, f)
		}
		if !(f.Onsets >= 0 && f.Onsets <= 12 && f.Swell >= 0 && f.Flux >= 0 && f.Flux <= 1 && f.Low >= 0 && f.Low <= 1 && f.Clarity >= 0 && f.Clarity <= 1 &&
			f.Centroid >= 0 && f.Centroid <= 4000 && f.Sounding >= 0 && f.Sounding <= float64(len(c.frames))/float64(c.rate)) {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// kendall is Kendall's τ-b of two rankings: 1 where they agree, 0 where they are unrelated.
func kendall(a, b []float64) float64 {
	var agree, tiedA, tiedB, pairs float64
	sign := func(x float64) float64 {
		switch {
		case x > 0:
			return 1
		case x < 0:
			return -1
		}
		return 0
	}
	for i := range a {
		for j := range i {
			x, y := sign(a[i]-a[j]), sign(b[i]-b[j])
			pairs++
			agree += x * y
			if x == 0 {
				tiedA++
			}
			if y == 0 {
				tiedB++
			}
		}
	}
	return agree / math.Sqrt((pairs-tiedA)*(pairs-tiedB))
}
