package measure

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"math"
	"math/rand/v2"

	"idefics2/checkpoint"
	"idefics2/imageproc"
)

// pictureWorks are those of getting pictures ready.
type pictureWorks struct{ Options }

func (p pictureWorks) size() image.Point {
	if p.Photo == nil {
		return image.Pt(4000, 3000)
	}
	c, _, err := image.DecodeConfig(bytes.NewReader(p.Photo))
	if err != nil {
		return image.Point{} // opening it tells
	}
	return image.Pt(c.Width, c.Height)
}

func (p pictureWorks) work(name string, reads, pixels int, passes func(*pictures) func() error) work {
	return work{
		name: name, group: "pictures", yields: float64(pixels) / 1e6, of: "Mpixel", unit: "Mpixel/s",
		cost:   cost{bytes: float64(reads)},
		stand:  func(b *Bench) (stand, error) { return newPictures(p) },
		passes: func(s stand) ([]pass, error) { return []pass{{times: 1, once: passes(s.(*pictures))}}, nil },
	}
}

// decode is a photograph's JPEG to pixels. Its limit, a far one, is the memory that those fill.
func (p pictureWorks) decode() work {
	size := p.size()
	pixels := size.X * size.Y
	return p.work(fmt.Sprintf("jpeg%dx%d", size.X, size.Y), 3*pixels, pixels, func(s *pictures) func() error {
		return func() error {
			_, _, err := imageproc.Decode(s.coded, imageproc.Limits{})
			return err
		}
	})
}

// resize makes it as large as the model takes it.
func (p pictureWorks) resize() work {
	size := p.size()
	pixels := size.X * size.Y
	return p.work(fmt.Sprintf("resize%dx%d", size.X, size.Y), 3*pixels, pixels, func(s *pictures) func() error {
		pre := checkpoint.DefaultPreprocessor()
		to := imageproc.Fit(size, pre.ShortestEdge, pre.LongestEdge)
		return func() error {
			imageproc.Resize(s.large, to.X, to.Y, imageproc.Bilinear)
			return nil
		}
	})
}

// prepare makes patches of the five crops of a decoded picture.
func (p pictureWorks) prepare() work {
	const width, height = 1280, 960
	return p.work(fmt.Sprintf("prepare%dx%d", width, height), 2*3*width*height, width*height, func(s *pictures) func() error {
		settings := imageproc.Settings{PatchSize: p.Config.Vision.PatchSize}
		return func() error {
			table, err := settings.Table()
			if err != nil {
				return err
			}
			crops, err := imageproc.Prepare(s.small, settings, true)
			for _, c := range crops {
				imageproc.Patches(c.RGB, settings.PatchSize, table)
			}
			return err
		}
	})
}

// pictures are what is decoded and resized.
type pictures struct {
	coded        []byte
	large, small *imageproc.RGB
}

func newPictures(p pictureWorks) (*pictures, error) {
	s := &pictures{coded: p.Photo}
	if s.coded == nil {
		var err error
		if s.coded, err = photo(4000, 3000); err != nil {
			return nil, err
		}
	}
	var err error
	if s.large, _, err = imageproc.Decode(s.coded, imageproc.Limits{}); err != nil {
		return nil, fmt.Errorf("measure: photo: %w", err)
	}
	s.small = imageproc.Resize(s.large, 1280, 960, imageproc.Bilinear)
	return s, nil
}

func (p *pictures) close() {}

// photo makes a JPEG of 4:2:0 and quality 90 with about the entropy of a camera's: smooth
// shapes, and noise in the brightness.
func photo(width, height int) ([]byte, error) {
	img := image.NewYCbCr(image.Rect(0, 0, width, height), image.YCbCrSubsampleRatio420)
	r := rand.New(rand.NewPCG(1, 1))
	noise := make([]float64, 1<<16)
	for i := range noise {
		noise[i] = 4 * r.NormFloat64()
	}
	wave := func(n int, period, depth float64) []float64 {
		w := make([]float64, n)
		for i := range w {
			w[i] = depth * math.Sin(float64(i)/period)
		}
		return w
	}
	coarse, fine := wave(width+height, 200, 40), wave(width+height, 9, 15)
	at := uint16(0)
	for y := range height {
		row := img.Y[y*img.YStride:][:width]
		at = uint16(r.Uint32())
		for x := range row {
			at++
			row[x] = uint8(min(max(128+coarse[x]+coarse[y]+fine[(x+y)/2]+noise[at], 0), 255))
		}
	}
	hue := wave(width+height, 90, 60)
	for y := range (height + 1) / 2 {
		cb, cr := img.Cb[y*img.CStride:], img.Cr[y*img.CStride:]
		for x := range (width + 1) / 2 {
			cb[x], cr[x] = uint8(128+hue[x]), uint8(128+hue[y])
		}
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, img, &jpeg.Options{Quality: 90}); err != nil {
		return nil, fmt.Errorf("measure: %w", err)
	}
	return out.Bytes(), nil
}
