// Package beds generates the sounds that never end: drone, ocean and rain.
//
// Each is a function of its name, a seed and a place on its own time line, so that one that is entered anywhere sounds
// as if it had always been there, and no minute of it comes again: what moves slowly is smooth noise over time (wander),
// hashed from seed and time, not a loop; what is noise is hashed from seed and place.
//
//   - drone: a choir of sines. Six chords in just intonation over one root, moved through over minutes; each tone has
//     ten harmonics at most and three voices for each ear, a hair apart, which beat slower than once in six seconds.
//     Filtered air lies over it. Nothing under 45 Hz, no tone over 2.3 kHz.
//   - ocean: noise in five bands for each ear. Three rows of waves of 8 to 13 s come in, break and run out, each wave of
//     its own height; the higher bands open with the height. Far surf never stops. Where high waves meet, half of the
//     decibels over one good wave are taken back.
//   - rain: a wide soft wash and a far-off band of noise, a patter of some 2,600 drops a second through two wide
//     resonances, and some 55 a second that ring singly, each with its pitch, size and place. Density, gusts and the side
//     that it comes from wander. There is no thunder and nothing else that is sudden.
//
// A bed may be calmer or more intense than usual (At): then all that moves slowly moves slower or faster, the drone's higher tones, the
// sea's crash and hiss and the rain's wash are darker or brighter, and fewer or more drops fall. The level stays.
//
// A bed sounds at -23 LUFS where its gain is 0 dB, over ten minutes to 1 LU; no moment of it is 5 LU over that, and its
// true peak stays under -7 dBTP. To enter one, 0.4 s are generated and thrown away: all filters have forgotten their start by
// then, and what follows is what would have been there, to -150 dB.
package beds
