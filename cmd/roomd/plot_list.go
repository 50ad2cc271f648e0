package main

import (
	"fmt"
	"strconv"
	"time"

	"roomd/room"
)

// Measures of the list under the picture.
const (
	listColumns = 3
	listRow     = 18.0
	listText    = 12.0
	warnFill    = "#b3372b"
)

// listed is one piece of music with its number in the picture.
type listed struct {
	room.ArcClip
	number int
}

// listOf numbers the pieces as they are played. What the bed covers has none.
func listOf(v room.ArcView) (list []listed, byID map[string]int) {
	byID = map[string]int{}
	for _, c := range v.Clips {
		if c.Cover == "" {
			list = append(list, listed{c, len(list) + 1})
			byID[c.ID] = len(list)
		}
	}
	return list, byID
}

// listHeight is how high the list of the music and that of the warnings are.
func listHeight(v room.ArcView) (music, all float64) {
	list, _ := listOf(v)
	music = listRow * float64((len(list)+listColumns-1)/listColumns)
	all = 12 + music
	if n := len(v.Notes); n > 0 {
		all += 16 + listRow*float64(n)
	}
	return music, all + 16
}

// barText is what stands in a piece's bar: its number, and its title where all of it has room.
func barText(c listed, wide float64) (say string, size float64) {
	number := strconv.Itoa(c.number)
	for _, l := range []struct {
		say  string
		size float64
	}{{number + "  " + c.Title, 12}, {number, 12}, {number, 9}} {
		if fits(l.say, wide, l.size) == l.say {
			return l.say, l.size
		}
	}
	if wide >= 4*float64(len(number)) {
		return number, 7
	}
	return "", 0
}

// warning draws the sign of a warning, with its point at a place.
func warning(to canvas, at point) {
	to.area([]point{{at.x, at.y}, {at.x - 7, at.y - 12}, {at.x + 7, at.y - 12}}, warnFill, 1)
	to.line([]point{{at.x, at.y - 10.5}, {at.x, at.y - 5.5}}, "#ffffff", 1.8, false)
}

// drawList draws the music by its numbers, and the warnings with their times, from a height on.
func drawList(to canvas, v room.ArcView, top float64) {
	list, byID := listOf(v)
	music, _ := listHeight(v)
	rows := (len(list) + listColumns - 1) / listColumns
	wide := (plotWidth - plotLeft - plotRight) / listColumns
	top += 12
	for i, c := range list {
		x, y := plotLeft+wide*float64(i/rows), top+listRow*float64(i%rows)
		to.text(point{x + 20, y}, strconv.Itoa(c.number), listText, ink, toRight, true)
		to.text(point{x + 30, y}, clock(time.Duration(c.StartMS)*time.Millisecond), listText, faint, fromLeft, false)
		says := c.Title
		if c.Artist != "" {
			says += " – " + c.Artist
		}
		if c.Cut {
			says += " (cut)"
		}
		to.text(point{x + 88, y}, fits(says, wide-100, listText), listText, ink, fromLeft, false)
	}
	y := top + music + 16
	for _, n := range v.Notes {
		says := n.Says
		if k, ok := byID[n.Clip]; ok {
			says = fmt.Sprintf("%d: %s", k, n.Says)
		}
		warning(to, point{plotLeft + 12, y + 1})
		to.text(point{plotLeft + 30, y}, clock(time.Duration(n.AtMS)*time.Millisecond), listText, faint, fromLeft, false)
		to.text(point{plotLeft + 88, y}, says, listText, ink, fromLeft, false)
		y += listRow
	}
}
