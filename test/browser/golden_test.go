package browser

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"image"
	"image/color"
	"image/png"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
)

var update = flag.Bool("update", false, "take the golden pictures anew")

// How far a page may be from its picture. Machines have other fonts, so text may
// run wider or narrower and break elsewhere: all of a picture may be a little
// off its place. What is on the page is compared to the letter, see structured.
const (
	columns, rows  = 18, 48
	reach          = 4     // rows that something may have moved, and one column
	meanDifference = 6.0   // of 255, over the picture
	cellDifference = 150.0 // of 255, of the cell that differs most
	heightRatio    = 1.25
	colourShare    = 0.2 // of the picture that has other colours
)

// pictured compares the page with its picture, or takes that anew.
func (b *tab) pictured(name string, width int64) {
	b.t.Helper()
	got, err := png.Decode(bytes.NewReader(b.capture(width)))
	if err != nil {
		b.t.Fatal(err)
	}
	file := filepath.Join("golden", safe(name)+".png")
	if *update {
		if err := save(file, quantised(got)); err != nil {
			b.t.Fatal(err)
		}
		return
	}
	want, err := open(file)
	if errors.Is(err, os.ErrNotExist) {
		b.t.Errorf("%s has no picture: take one with -run Golden -update", name)
		return
	}
	if err != nil {
		b.t.Fatal(err)
	}
	if d := compare(want, quantised(got)); d.differs() {
		failed := filepath.Join(b.t.ArtifactDir(), safe(name)+".png")
		b.t.Errorf("%s does not look like its picture: %+v; now it is %s (%v)", name, d, failed, save(failed, quantised(got)))
	}
}

// difference is how far two pictures are from each other.
type difference struct {
	Mean, Cell float64 // of 255
	Height     float64 // ratio, at least 1
	Colours    float64 // share
	Width      bool
}

func (d difference) differs() bool {
	return d.Width || d.Height > heightRatio || d.Mean > meanDifference || d.Cell > cellDifference || d.Colours > colourShare
}

// compare compares two pictures, each reduced to a few cells. Their heights are
// brought to one before.
func compare(want, got image.Image) difference {
	a, b := cells(want), cells(got)
	h1, h2 := float64(want.Bounds().Dy()), float64(got.Bounds().Dy())
	d := difference{Height: max(h1, h2) / min(h1, h2), Width: want.Bounds().Dx() != got.Bounds().Dx(), Colours: recoloured(want, got)}
	for _, pair := range [][2][]float64{{a, b}, {b, a}} {
		mean := 0.0
		for i := range columns * rows {
			nearest := nearestCell(pair[0], pair[1], i)
			mean += nearest / columns / rows
			d.Cell = max(d.Cell, nearest)
		}
		d.Mean = max(d.Mean, mean)
	}
	return d
}

// nearestCell is how far a cell is from the one that is most like it, of those
// where it may have moved.
func nearestCell(from, to []float64, i int) float64 {
	nearest, x, y := 255.0, i%columns, i/columns
	for v := max(0, y-reach); v <= min(rows-1, y+reach); v++ {
		for u := max(0, x-1); u <= min(columns-1, x+1); u++ {
			nearest = min(nearest, math.Abs(from[i]-to[v*columns+u]))
		}
	}
	return nearest
}

// recoloured is the share of two pictures that have different colours, wherever
// these are.
func recoloured(want, got image.Image) (share float64) {
	a, b := colours(want), colours(got)
	for c := range a {
		share += math.Abs(a[c]-b[c]) / 2
	}
	for c := range b {
		if _, both := a[c]; !both {
			share += b[c] / 2
		}
	}
	return share
}

// colours are the shares of a picture's colours, those together that look alike.
func colours(picture image.Image) map[color.RGBA]float64 {
	shares, bounds := map[color.RGBA]float64{}, picture.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c, _ := color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA)
			shares[color.RGBA{c.R / 6, c.G / 6, c.B / 6, 0}] += 1 / float64(bounds.Dx()*bounds.Dy())
		}
	}
	return shares
}

// cells are the mean luminances of a picture's parts, of 255.
func cells(picture image.Image) []float64 {
	sums, counts := make([]float64, columns*rows), make([]float64, columns*rows)
	bounds := picture.Bounds()
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			i := y*rows/bounds.Dy()*columns + x*columns/bounds.Dx()
			gray, _ := color.GrayModel.Convert(picture.At(bounds.Min.X+x, bounds.Min.Y+y)).(color.Gray)
			sums[i] += float64(gray.Y)
			counts[i]++
		}
	}
	for i := range sums {
		sums[i] /= counts[i]
	}
	return sums
}

// paletteSize is enough for our few colours and the edges of letters.
const paletteSize = 40

// far reports whether two colours are so different that both are needed.
func far(c color.RGBA, other color.Color) bool {
	o, _ := color.RGBAModel.Convert(other).(color.RGBA)
	return max(c.R, o.R)-min(c.R, o.R) > 3 || max(c.G, o.G)-min(c.G, o.G) > 3 || max(c.B, o.B)-min(c.B, o.B) > 3
}

// quantised is a picture with its most frequent colours only, to be small.
func quantised(picture image.Image) image.Image {
	bounds, counts := picture.Bounds(), map[color.RGBA]int{}
	at := func(x, y int) color.RGBA {
		c, _ := color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA)
		return c
	}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[at(x, y)]++
		}
	}
	var palette color.Palette
	for _, c := range slices.SortedFunc(maps.Keys(counts), func(a, b color.RGBA) int { return cmp.Compare(counts[b], counts[a]) }) {
		if len(palette) == paletteSize {
			break
		}
		if len(palette) == 0 || far(c, palette[palette.Index(c)]) {
			palette = append(palette, c)
		}
	}
	small, nearest := image.NewPaletted(bounds, palette), map[color.RGBA]uint8{}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c := at(x, y)
			i, known := nearest[c]
			if !known {
				i = uint8(palette.Index(c))
				nearest[c] = i
			}
			small.SetColorIndex(x, y, i)
		}
	}
	return small
}

func save(file string, picture image.Image) error {
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&out, picture); err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, out.Bytes(), 0o644))
}

func open(file string) (image.Image, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return png.Decode(bytes.NewReader(content))
}
