package main

import (
	"bytes"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"

	"roomd/room"
)

// canvas takes the strokes of a picture. Colours are #rrggbb, alpha is from 0 to 1.
type canvas interface {
	area(points []point, fill string, alpha float64)
	line(points []point, stroke string, wide float64, dashed bool)
	text(at point, say string, size float64, fill string, anchor anchor, bold bool)
}

type point struct{ x, y float64 }

type anchor float64 // the share of a text that is left of its point

const (
	fromLeft anchor = 0
	centred  anchor = 0.5
	toRight  anchor = 1
)

// Measures and colours of the picture: light, so that it prints.
const (
	plotWidth   = 1600.0
	plotLeft    = 76.0
	plotRight   = 28.0
	loudHigh    = 200.0
	rowHigh     = 34.0
	intenseHigh = 64.0
	lightHigh   = 64.0

	paper, ink, faint, rule = "#fdfbf7", "#2b241b", "#7d7264", "#cfc5b6"
	trackOne, trackTwo      = "#d9922e", "#b8701a"
	bedFill, coverFill      = "#86a3b3", "#5b7f93"
	loudFill, loudInk       = "#e3b877", "#8f4f0c"
)

var stageFill = map[string]string{"preparation": "#efe3cd", "administration": "#e2d9e6", "integration": "#dbe7d9"}

// arcHeight is how high the picture is, with its list.
func arcHeight(v room.ArcView) float64 {
	_, list := listHeight(v)
	return chartHeight(v) + list
}

// chartHeight is how high the picture is without its list.
func chartHeight(v room.ArcView) float64 {
	high := 128 + loudHigh + 44 + 3*rowHigh + 46 + float64(len(v.Lights))*(lightHigh+26) + 66
	if pooled(v) {
		high += intenseHigh + 32
	}
	return high
}

// pooled says whether any piece comes from a pool.
func pooled(v room.ArcView) bool {
	return slices.ContainsFunc(v.Clips, func(c room.ArcClip) bool { return c.Intensity > 0 })
}

// drawIntensity draws what each phase asks of its pool, and what is laid from it.
func drawIntensity(to canvas, v room.ArcView, at float64, x func(int64) float64) {
	y := func(intensity float64) float64 { return at + intenseHigh*(5-intensity)/4 }
	for i := 1.0; i <= 5; i++ {
		to.line([]point{{plotLeft, y(i)}, {plotWidth - plotRight, y(i)}}, rule, 0.6, false)
		to.text(point{plotLeft - 8, y(i) + 4}, strconv.Itoa(int(i)), 10, faint, toRight, false)
	}
	to.text(point{plotLeft, at - 6}, "intensity: planned (dashed), and of what plays", 12, ink, fromLeft, true)
	for _, c := range v.Clips {
		if c.Intensity == 0 {
			continue
		}
		fill := trackOne
		if c.Bed != "" {
			fill = bedFill
		}
		a, z := x(c.StartMS+c.FadeInMS/2), x(c.EndMS-c.FadeOutMS/2)
		to.area([]point{{a, y(1) + 4}, {a, y(c.Intensity)}, {z, y(c.Intensity)}, {z, y(1) + 4}}, fill, 0.75)
	}
	for _, ph := range v.Phases {
		if ph.Course != nil {
			to.line([]point{{x(ph.StartMS), y(ph.Course.From)}, {x(ph.EndMS), y(ph.Course.To)}}, ink, 1.4, true)
		}
	}
}

// drawArc draws the picture, 1600 wide and as high as arcHeight says.
func drawArc(to canvas, v room.ArcView) {
	height := arcHeight(v)
	x := func(ms int64) float64 {
		return plotLeft + (plotWidth-plotLeft-plotRight)*float64(ms)/float64(max(v.EndMS, 1))
	}
	rect := func(x1, y1, x2, y2 float64, fill string, alpha float64) {
		to.area([]point{{x1, y1}, {x2, y1}, {x2, y2}, {x1, y2}}, fill, alpha)
	}
	rect(0, 0, plotWidth, height, paper, 1)
	to.text(point{plotLeft, 38}, v.Name, 23, ink, fromLeft, true)
	to.text(point{plotWidth - plotRight, 38}, "as planned, "+clock(time.Duration(v.EndMS)*time.Millisecond), 14, faint, toRight, false)
	top, bottom := 58.0, chartHeight(v)-66

	// Stages, and the phases under them.
	for i, ph := range v.Phases {
		a, z := x(ph.StartMS), x(ph.EndMS)
		rect(a, top, z, 118, stageFill[ph.Stage], 1)
		if i == 0 || v.Phases[i-1].Stage != ph.Stage {
			last := i
			for last+1 < len(v.Phases) && v.Phases[last+1].Stage == ph.Stage {
				last++
			}
			to.text(point{a + 6, top + 15}, fits(ph.Stage, x(v.Phases[last].EndMS)-a-10, 11), 11, faint, fromLeft, false)
		}
		to.text(point{a + 6, top + 34}, fits(ph.Name, z-a-10, 14), 14, ink, fromLeft, true)
		says := spanMS(ph.EndMS - ph.StartMS)
		if ph.FlexMS > 0 {
			says += " ± " + spanMS(ph.FlexMS)
		}
		to.text(point{a + 6, top + 51}, fits(says, z-a-10, 11), 11, faint, fromLeft, false)
		if i > 0 {
			to.line([]point{{a, top}, {a, bottom}}, rule, 1, false)
		}
	}

	// Loudness, from the softest to the loudest that is of interest.
	at := 132.0
	low, high := -48.0, -12.0
	for _, m := range v.Loudness.Momentary {
		high = max(high, 6*math.Ceil(m/6))
	}
	y := func(lufs float64) float64 { return at + loudHigh*(high-min(max(lufs, low), high))/(high-low) }
	for l := low; l <= high; l += 6 {
		to.line([]point{{plotLeft, y(l)}, {plotWidth - plotRight, y(l)}}, rule, 0.6, false)
		to.text(point{plotLeft - 8, y(l) + 4}, strconv.Itoa(int(l)), 11, faint, toRight, false)
	}
	to.text(point{14, at - 6}, "LUFS", 11, faint, fromLeft, false)
	var short, mom []point
	for k, s := range v.Loudness.ShortTerm {
		mid := x(min(v.EndMS, int64(k)*v.Loudness.StepMS+v.Loudness.StepMS/2))
		short = append(short, point{mid, y(s)})
		mom = append(mom, point{mid, y(v.Loudness.Momentary[k])})
	}
	if len(short) > 0 {
		area := append([]point{{short[0].x, y(low)}}, short...)
		to.area(append(area, point{short[len(short)-1].x, y(low)}), loudFill, 0.75)
		to.line(mom, loudInk, 0.8, false)
	}
	for _, ph := range v.Phases {
		if ph.Silence {
			continue
		}
		to.line([]point{{x(ph.StartMS), y(ph.Target)}, {x(ph.EndMS), y(ph.Target)}}, ink, 1.4, true)
	}

	for _, n := range v.Notes {
		e := x(n.AtMS)
		to.line([]point{{e, at}, {e, at + loudHigh}}, warnFill, 1, true)
		warning(to, point{e, at + 2})
	}

	// Where a phase may end, and the marks that it waits for.
	at += loudHigh + 26
	flexes := false
	for _, ph := range v.Phases {
		if ph.FlexMS > 0 {
			flexes = true
			a, z := x(max(0, ph.PlanMS-ph.FlexMS)), min(x(ph.PlanMS+ph.FlexMS), plotWidth-plotRight)
			to.line([]point{{a, at - 5}, {a, at + 5}}, ink, 1.2, false)
			to.line([]point{{z, at - 5}, {z, at + 5}}, ink, 1.2, false)
			to.line([]point{{a, at}, {z, at}}, ink, 1.2, false)
			e := x(ph.EndMS)
			to.area([]point{{e, at + 5}, {e - 4.5, at}, {e, at - 5}, {e + 4.5, at}}, ink, 1)
		}
		if ph.Until != "" {
			e := x(ph.EndMS)
			to.line([]point{{e, top}, {e, bottom}}, ink, 1.4, true)
			to.text(point{e - 5, at - 9}, "until "+ph.Until, 12, ink, toRight, true)
		}
	}
	if flexes {
		to.text(point{plotLeft - 8, at + 4}, "flex", 11, faint, toRight, false)
	}

	// Tracks in two rows by turns, so that a crossfade is seen; what the bed covers below them.
	at += 18
	n := 0
	_, numbers := listOf(v)
	for _, c := range v.Clips {
		a, z := x(c.StartMS), x(c.EndMS)
		row, fill := 0, ""
		switch {
		case c.Cover != "":
			row, fill = 2, coverFill
		case c.Bed != "":
			row, fill = n%2, bedFill
			n++
		default:
			row, fill = n%2, []string{trackOne, trackTwo}[n%2]
			n++
		}
		y1 := at + float64(row)*rowHigh + 2
		y2 := y1 + rowHigh - 4
		to.area([]point{{a, y2}, {x(c.StartMS + c.FadeInMS), y1}, {x(c.EndMS - c.FadeOutMS), y1}, {z, y2}}, fill, 1)
		if c.Cover == "" {
			ground := "#ffffff"
			if fill == trackOne || fill == bedFill {
				ground = ink
			}
			inner := x(c.StartMS + c.FadeInMS/2)
			say, size := barText(listed{c, numbers[c.ID]}, x(c.EndMS-c.FadeOutMS/2)-inner-4)
			to.text(point{inner + 3, y1 + 19}, say, size, ground, fromLeft, false)
		}
	}
	for _, ph := range v.Phases {
		if a, z := x(ph.StartMS), x(ph.EndMS); ph.Silence {
			to.text(point{(a + z) / 2, at + rowHigh + 4}, fits("silence", z-a, 12), 12, faint, centred, false)
		}
	}
	to.text(point{plotLeft - 8, at + rowHigh + 4}, "music", 11, faint, toRight, false)
	to.text(point{plotLeft - 8, at + 2.5*rowHigh + 4}, "bed covers", 11, faint, toRight, false)
	at += 3*rowHigh + 46
	if pooled(v) {
		drawIntensity(to, v, at, x)
		at += intenseHigh + 32
	}

	for _, r := range v.Lights {
		y := func(l float64) float64 { return at + lightHigh*(1-l/100) }
		for _, l := range []float64{0, 50, 100} {
			to.line([]point{{plotLeft, y(l)}, {plotWidth - plotRight, y(l)}}, rule, 0.6, false)
			to.text(point{plotLeft - 8, y(l) + 4}, strconv.Itoa(int(l)), 10, faint, toRight, false)
		}
		to.text(point{plotLeft, at - 6}, r.Role+", L*", 12, ink, fromLeft, true)
		var line []point
		for k, p := range r.Points {
			line = append(line, point{x(p.AtMS), y(p.Level)})
			if k > 0 && p.AtMS > r.Points[k-1].AtMS {
				to.area([]point{{line[k-1].x, y(0)}, line[k-1], line[k], {line[k].x, y(0)}}, p.Color, 0.85)
			}
		}
		to.line(line, ink, 1.2, false)
		at += lightHigh + 26
	}

	step := 30 * time.Minute
	for _, s := range []time.Duration{15 * time.Minute, 5 * time.Minute, time.Minute} {
		if v.EndMS < 5*step.Milliseconds() {
			step = s
		}
	}
	for t := time.Duration(0); t.Milliseconds() <= v.EndMS; t += step {
		e := x(t.Milliseconds())
		to.line([]point{{e, bottom - 4}, {e, bottom + 4}}, faint, 1, false)
		to.text(point{e, bottom + 20}, fmt.Sprintf("%d:%02d", int(t.Hours()), int(t.Minutes())%60), 12, faint, centred, false)
	}
	// What the signs mean.
	e := plotLeft
	key := func(fill, says string) {
		rect(e, bottom+36, e+18, bottom+48, fill, 1)
		to.text(point{e + 24, bottom + 47}, says, 12, ink, fromLeft, false)
		e += 44 + 6.6*float64(len(says))
	}
	key(trackOne, "track")
	key(bedFill, "bed as written")
	key(coverFill, "what the bed covers")
	key(loudFill, "short-term loudness")
	sign := func(wide float64, stroke string, dashed bool, says string) {
		to.line([]point{{e, bottom + 42}, {e + 22, bottom + 42}}, stroke, wide, dashed)
		to.text(point{e + 28, bottom + 47}, says, 12, ink, fromLeft, false)
		e += 48 + 6.6*float64(len(says))
	}
	sign(0.8, loudInk, false, "momentary loudness")
	sign(1.4, ink, true, "target")
	to.area([]point{{e + 6, bottom + 47}, {e + 1, bottom + 42}, {e + 6, bottom + 37}, {e + 11, bottom + 42}}, ink, 1)
	to.text(point{e + 18, bottom + 47}, "where the phase ends, in how far it may", 12, ink, fromLeft, false)
	if e += 290; len(v.Notes) > 0 {
		warning(to, point{e + 6, bottom + 48})
		to.text(point{e + 20, bottom + 47}, "what roomd check warns of", 12, ink, fromLeft, false)
	}
	drawList(to, v, chartHeight(v))
}

// fits is as much of a text as has room; empty where half a word has none.
func fits(say string, wide, size float64) string {
	letters := []rune(say)
	n := int(wide / (size * 0.56))
	switch {
	case n >= len(letters):
		return say
	case n < 6:
		return ""
	}
	return string(letters[:n-1]) + "…"
}

// svgCanvas writes SVG.
type svgCanvas struct{ strings.Builder }

func arcSVG(v room.ArcView) ([]byte, error) {
	var b svgCanvas
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" font-family="system-ui, sans-serif">`+"\n", plotWidth, arcHeight(v), plotWidth, arcHeight(v))
	drawArc(&b, v)
	b.WriteString("</svg>\n")
	return []byte(b.String()), nil
}

func (b *svgCanvas) points(points []point) string {
	var s strings.Builder
	for _, p := range points {
		fmt.Fprintf(&s, "%.1f,%.1f ", p.x, p.y)
	}
	return strings.TrimSpace(s.String())
}

func (b *svgCanvas) area(points []point, fill string, alpha float64) {
	fmt.Fprintf(b, `<polygon points="%s" fill="%s" fill-opacity="%g"/>`+"\n", b.points(points), fill, alpha)
}

func (b *svgCanvas) line(points []point, stroke string, wide float64, dashed bool) {
	dash := ""
	if dashed {
		dash = ` stroke-dasharray="6 4"`
	}
	fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="%g" stroke-linejoin="round"%s/>`+"\n", b.points(points), stroke, wide, dash)
}

func (b *svgCanvas) text(at point, say string, size float64, fill string, a anchor, bold bool) {
	if say == "" {
		return
	}
	more := map[anchor]string{centred: ` text-anchor="middle"`, toRight: ` text-anchor="end"`}[a]
	if bold {
		more += ` font-weight="600"`
	}
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" font-size="%g" fill="%s"%s>%s</text>`+"\n", at.x, at.y, size, fill, more, html.EscapeString(say))
}

// pngScale is the pixels of a unit, so that a print is sharp.
const pngScale = 2

// pngCanvas paints pixels.
type pngCanvas struct {
	img   *image.RGBA
	fonts [2]*opentype.Font // regular, bold
	faces map[[2]float64]font.Face
}

func arcPNG(v room.ArcView) ([]byte, error) {
	c := &pngCanvas{img: image.NewRGBA(image.Rect(0, 0, plotWidth*pngScale, int(arcHeight(v)*pngScale))), faces: map[[2]float64]font.Face{}}
	for i, ttf := range [][]byte{goregular.TTF, gobold.TTF} {
		f, err := opentype.Parse(ttf)
		if err != nil {
			return nil, fmt.Errorf("the picture's font: %w", err)
		}
		c.fonts[i] = f
	}
	drawArc(c, v)
	var b bytes.Buffer
	err := png.Encode(&b, c.img)
	return b.Bytes(), err
}

// paint is a colour of the picture.
func paint(hex string, alpha float64) image.Image {
	n, _ := strconv.ParseUint(strings.TrimPrefix(hex, "#"), 16, 32) // a colour that is none is black
	return image.NewUniform(color.NRGBA{uint8(n >> 16), uint8(n >> 8), uint8(n), uint8(math.Round(alpha * 255))})
}

func (c *pngCanvas) area(points []point, fill string, alpha float64) {
	var box image.Rectangle
	for _, p := range points {
		x, y := int(p.x*pngScale), int(p.y*pngScale)
		box = box.Union(image.Rect(x-1, y-1, x+2, y+2))
	}
	if box = box.Intersect(c.img.Bounds()); box.Empty() {
		return
	}
	r := vector.NewRasterizer(box.Dx(), box.Dy())
	for i, p := range points {
		x, y := float32(p.x*pngScale-float64(box.Min.X)), float32(p.y*pngScale-float64(box.Min.Y))
		if i == 0 {
			r.MoveTo(x, y)
		} else {
			r.LineTo(x, y)
		}
	}
	r.ClosePath()
	r.DrawOp = draw.Over
	r.Draw(c.img, box, paint(fill, alpha), image.Point{})
}

func (c *pngCanvas) line(points []point, stroke string, wide float64, dashed bool) {
	on, left := true, 6.0
	for i := 1; i < len(points); i++ {
		p, q := points[i-1], points[i]
		long := math.Hypot(q.x-p.x, q.y-p.y)
		if long == 0 {
			continue
		}
		ux, uy := (q.x-p.x)/long, (q.y-p.y)/long
		for at := 0.0; at < long; {
			to := long
			if dashed {
				to = min(long, at+left)
			}
			if on {
				nx, ny := -uy*wide/2, ux*wide/2
				a, z := point{p.x + ux*at, p.y + uy*at}, point{p.x + ux*to, p.y + uy*to}
				c.area([]point{{a.x + nx, a.y + ny}, {z.x + nx, z.y + ny}, {z.x - nx, z.y - ny}, {a.x - nx, a.y - ny}}, stroke, 1)
			}
			if left -= to - at; dashed && left <= 0 {
				on = !on
				left = map[bool]float64{true: 6, false: 4}[on]
			}
			at = to
		}
	}
}

func (c *pngCanvas) text(at point, say string, size float64, fill string, a anchor, bold bool) {
	weight := 0
	if bold {
		weight = 1
	}
	key := [2]float64{size, float64(weight)}
	if c.faces[key] == nil {
		face, err := opentype.NewFace(c.fonts[weight], &opentype.FaceOptions{Size: size * 0.96, DPI: 72 * pngScale})
		if err != nil {
			return // no face is refused at a size that is over 0
		}
		c.faces[key] = face
	}
	d := font.Drawer{Dst: c.img, Src: paint(fill, 1), Face: c.faces[key]}
	wide := float64(d.MeasureString(say)) / 64
	d.Dot = fixed.Point26_6{X: fixed.Int26_6((at.x*pngScale - wide*float64(a)) * 64), Y: fixed.Int26_6(at.y * pngScale * 64)}
	d.DrawString(say)
}
