// Package beds generates the sounds that never end: drone, ocean and rain.
package beds
