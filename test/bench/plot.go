package main

import (
	"bytes"
	"fmt"
	"html"
)

// Measures of the plot in pixels.
const (
	plotRow   = 26
	plotHead  = 34
	plotNames = 340 // where bars begin
	plotBars  = 400 // how long the longest may be
	plotWidth = plotNames + plotBars + 240
)

// plot draws one bar per row. A ratio is drawn on a scale from 0 to 1, the
// limit; a value that must not exceed its bar on a scale to one and a half
// times that. The line across is the bar to meet.
func (r *report) plot() []byte {
	var b bytes.Buffer
	height := plotHead + plotRow*len(r.Rows) + 10
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n",
		plotWidth, height, plotWidth, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/><text x="8" y="20" font-weight="bold">Gatehouse against its limits, %s</text>`+"\n",
		r.Began.Format("2006-01-02"))
	for i := range r.Rows {
		r.Rows[i].draw(&b, plotHead+i*plotRow)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// draw adds the row whose upper edge is y.
func (r *row) draw(b *bytes.Buffer, y int) {
	value, bar := r.Ratio, r.Bar
	if r.AtMost {
		value, bar = r.Ours/(1.5*r.Bar), 1/1.5
	}
	color := "#2e7d4f"
	if !r.Met {
		color = "#b3402e"
	}
	c := r.cells()
	label := c[1] + ", " + c[5]
	if !r.AtMost {
		label = fmt.Sprintf("%.2f of %s, %s", r.Ratio, c[2], c[5])
	}
	mark := plotNames + int(bar*plotBars)
	fmt.Fprintf(b, `<text x="8" y="%d">%s</text>`, y+16, html.EscapeString(c[0]))
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="16" fill="%s"/>`, plotNames, y+4, int(min(value, 1)*plotBars), color)
	fmt.Fprintf(b, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#000" stroke-width="2"/>`, mark, y+1, mark, y+23)
	fmt.Fprintf(b, `<text x="%d" y="%d">%s %s</text>`+"\n", plotNames+plotBars+10, y+16, html.EscapeString(label), c[6])
}
