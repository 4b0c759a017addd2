package web

import (
	"encoding/hex"
	"fmt"
	"math"
	"strings"
)

// rgb is a colour of the sRGB space.
type rgb [3]uint8

// The grounds that the stylesheet sets behind everything, light and dark.
const (
	groundLight = "#f6f6f4"
	groundDark  = "#131312"
)

// minContrast is what WCAG 2.2 asks of text and we of the accent (SC 1.4.3).
const minContrast = 4.5

// accentRules returns what to append to the stylesheet for the brand's accent;
// nothing for none. On the dark ground it is mixed with white until it can be
// read as well as the accent of the stylesheet.
func (b Brand) accentRules() (string, error) {
	if b.Accent == "" {
		return "", nil
	}
	accent, err := parseColour(b.Accent)
	if err != nil {
		return "", err
	}
	light, dark := mustColour(groundLight), mustColour(groundDark)
	if got := contrast(accent, light); got < minContrast {
		return "", fmt.Errorf("the accent %s has a contrast of %.1f:1 on the light ground %s, which needs %.1f:1; %s would do",
			b.Accent, got, groundLight, minContrast, towards(accent, rgb{}, light, minContrast))
	}
	onDark := towards(accent, rgb{255, 255, 255}, dark, 7)
	return fmt.Sprintf(":root{--accent:%s;--on-accent:%s}@media(prefers-color-scheme:dark){:root{--accent:%s;--on-accent:%s}}\n",
		accent, accent.ink(), onDark, onDark.ink()), nil
}

// towards mixes c with target until it has the contrast to ground.
func towards(c, target, ground rgb, ratio float64) rgb {
	mixed := c
	for share := 0.0; share <= 1; share += 0.02 {
		for i := range mixed {
			mixed[i] = uint8(math.Round(float64(c[i])*(1-share) + float64(target[i])*share))
		}
		if contrast(mixed, ground) >= ratio {
			break
		}
	}
	return mixed
}

// ink is the colour of text on c.
func (c rgb) ink() rgb {
	white, black := rgb{255, 255, 255}, rgb{16, 16, 15}
	if contrast(c, white) >= contrast(c, black) {
		return white
	}
	return black
}

func (c rgb) String() string { return "#" + hex.EncodeToString(c[:]) }

// contrast is the contrast ratio of WCAG 2.2, from 1 to 21.
func contrast(a, b rgb) float64 {
	la, lb := a.luminance(), b.luminance()
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

// luminance is the relative luminance of WCAG 2.2.
func (c rgb) luminance() float64 {
	var linear [3]float64
	for i, v := range c {
		s := float64(v) / 255
		if s <= 0.04045 {
			linear[i] = s / 12.92
		} else {
			linear[i] = math.Pow((s+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*linear[0] + 0.7152*linear[1] + 0.0722*linear[2]
}

func parseColour(s string) (rgb, error) {
	digits, ok := strings.CutPrefix(s, "#")
	raw, err := hex.DecodeString(digits)
	if !ok || err != nil || len(raw) != 3 {
		return rgb{}, fmt.Errorf("the accent %q is not a colour like #1f5c4d", s)
	}
	return rgb(raw), nil
}

// mustColour is for the constants above.
func mustColour(s string) rgb {
	c, err := parseColour(s)
	if err != nil {
		panic(err)
	}
	return c
}
