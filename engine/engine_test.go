package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"idefics2/checkpoint"
	"idefics2/input"
	"idefics2/kvcache"
	"idefics2/model"
	"idefics2/sample"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs an engine on a recorded checkpoint.
func start(t testing.TB, name string, o Options) *Engine {
	t.Helper()
	source, err := checkpoint.Open(filepath.Join("..", "testdata", "golden", name, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Load(source, model.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	e := New(m, o)
	t.Cleanup(func() {
		e.Close()
		if used := e.cache.Used(); used != 0 {
			t.Errorf("%d pages of the cache are still held", used)
		}
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// ask makes a prompt with pictures of noise, different for every seed.
func ask(e *Engine, pictures, words int, seed uint64) *input.Input {
	r := rand.New(rand.NewPCG(seed, 1))
	in := &input.Input{IDs: []int32{1}}
	for range pictures {
		c := input.Crop{Rows: 2 + r.IntN(3), Columns: 2 + r.IntN(3)}
		c.Patches = make([]float32, c.Rows*c.Columns*e.model.Vision.Patch.W.In)
		for i := range c.Patches {
			c.Patches[i] = r.Float32()*2 - 1
		}
		for range c.Rows * c.Columns {
			c.Positions = append(c.Positions, r.Int32N(int32(e.model.Vision.Positions.W.Out)))
		}
		for i := range c.Key {
			c.Key[i] = byte(r.Uint32())
		}
		in.Crops = append(in.Crops, c)
		for range e.model.Latents() {
			in.IDs = append(in.IDs, int32(e.model.Config.ImageTokenID))
		}
	}
	for range words {
		in.IDs = append(in.IDs, 3+r.Int32N(200))
	}
	return in
}

// requests is one of each kind.
func requests(e *Engine) []Request {
	bad := [][]int32{{int32(e.model.Config.ImageTokenID)}}
	greedy := sample.Options{MaxNewTokens: 20, BadWords: bad, Logprobs: 2}
	sampled := sample.Options{MaxNewTokens: 15, BadWords: bad, Temperature: 1.3, TopK: 40, Seed: 7, Returned: 3}
	lookup := sample.Options{MaxNewTokens: 40, BadWords: bad, LookupTokens: 5}
	beams := sample.Options{MaxNewTokens: 12, BadWords: bad, Beams: 3, Returned: 2, Logprobs: 1}
	return []Request{
		{Input: ask(e, 1, 10, 1), Options: greedy, Logprobs: true},
		{Input: ask(e, 0, 70, 2), Options: sampled},
		{Input: ask(e, 2, 5, 3), Options: lookup},
		{Input: ask(e, 1, 33, 4), Options: beams, Logprobs: true},
		{Input: ask(e, 1, 10, 1), Options: sampled, Logprobs: true},
	}
}

func do(t *testing.T, e *Engine, r Request) []Answer {
	t.Helper()
	result, err := e.Do(t.Context(), r)
	if err != nil {
		t.Error(err)
		return nil
	}
	return result.Answers
}

// Together with others, in small passes, every request gets the tokens and the bits of
// the log-probabilities that it gets alone.
func TestTogetherAsAlone(t *testing.T) {
	for _, name := range []string{"tiny", "window"} {
		alone := start(t, name, Options{FeatureBytes: -1})
		var want [][]Answer
		for _, r := range requests(alone) {
			want = append(want, do(t, alone, r))
		}
		together := start(t, name, Options{PassRows: 40})
		var wg sync.WaitGroup
		for range 3 {
			for i, r := range requests(together) {
				wg.Go(func() {
					if got := do(t, together, r); !reflect.DeepEqual(got, want[i]) {
						t.Errorf("%s, request %d: %v, want %v", name, i, got, want[i])
					}
				})
			}
		}
		wg.Wait()
	}
}

func TestPromptLookupChangesNothing(t *testing.T) {
	for _, name := range []string{"tiny", "window"} {
		e := start(t, name, Options{})
		in := ask(e, 1, 30, 5)
		in.IDs = append(in.IDs, in.IDs[len(in.IDs)-20:]...) // something to look up
		for _, temperature := range []float64{0, 0.8} {
			o := sample.Options{MaxNewTokens: 60, Temperature: temperature, Seed: 3}
			plain := do(t, e, Request{Input: in, Options: o})
			for _, n := range []int{0, 1, 4, 20} { // 0: as the engine sees fit
				o.LookupTokens = n
				if got := do(t, e, Request{Input: in, Options: o, Guess: n == 0}); !reflect.DeepEqual(got, plain) {
					t.Errorf("%s at temperature %v with drafts of %d: %v, want %v", name, temperature, n, got, plain)
				}
			}
		}
	}
}

// A beam's log-probabilities are summed in its score.
func TestBeamsExplainTheirScores(t *testing.T) {
	e := start(t, "tiny", Options{})
	for _, a := range do(t, e, Request{
		Input: ask(e, 1, 9, 6), Options: sample.Options{MaxNewTokens: 8, Beams: 4, Returned: 4, StopIDs: []int32{2, 65, 104}}, Logprobs: true,
	}) {
		sum := 0.0
		for _, token := range a.Tokens {
			sum += float64(token.Logprob)
		}
		if mean := sum / float64(len(a.Tokens)); mean-float64(a.Score) > 1e-5 || float64(a.Score)-mean > 1e-5 {
			t.Errorf("score %v, mean of the log-probabilities %v", a.Score, mean)
		}
	}
}

func TestTokensArriveAndStop(t *testing.T) {
	e := start(t, "tiny", Options{})
	var seen []int32
	answers := do(t, e, Request{
		Input: ask(e, 0, 9, 6), Options: sample.Options{MaxNewTokens: 50},
		Token: func(_ int, token Token) bool {
			seen = append(seen, token.ID)
			return len(seen) == 4
		},
	})
	if len(seen) != 4 || len(answers[0].Tokens) != 4 || answers[0].Finish != sample.FinishStop {
		t.Errorf("saw %v, answer %+v", seen, answers)
	}
}

func TestCancelReturnsAtOnceAndFreesPages(t *testing.T) {
	e := start(t, "tiny", Options{})
	gone := errors.New("the client left")
	ctx, cancel := context.WithCancelCause(t.Context())
	first := make(chan struct{})
	var once sync.Once
	go func() {
		<-first
		cancel(gone)
	}()
	_, err := e.Do(ctx, Request{
		Input: ask(e, 0, 9, 6), Options: sample.Options{MaxNewTokens: 4000},
		Token: func(int, Token) bool { once.Do(func() { close(first) }); return false },
	})
	if !errors.Is(err, gone) {
		t.Errorf("error %v, want %v", err, gone)
	}
	do(t, e, Request{Input: ask(e, 0, 3, 1), Options: sample.Options{MaxNewTokens: 1}}) // the engine goes on
}

// A pass that everyone left is abandoned, and what it computed is not kept: the same
// picture gives the right latents afterwards.
func TestAbandonedPassesLeaveNothingBehind(t *testing.T) {
	e := start(t, "tiny", Options{})
	r := Request{Input: ask(e, 3, 40, 8), Options: sample.Options{MaxNewTokens: 6}, Logprobs: true}
	clean := start(t, "tiny", Options{FeatureBytes: -1})
	want := do(t, clean, r)
	for i := range 60 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*20*time.Microsecond)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := e.Do(ctx, r); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
		if i%3 == 0 { // someone else is in the pass, or soon after it
			wg.Go(func() {
				if got := do(t, e, r); !reflect.DeepEqual(got, want) {
					t.Errorf("beside a request that left: %v, want %v", got, want)
				}
			})
		}
		wg.Wait()
		cancel()
	}
	if got := do(t, e, r); !reflect.DeepEqual(got, want) {
		t.Errorf("after requests that left: %v, want %v", got, want)
	}
}

func TestMemoryIsBoundedBeforeItIsTaken(t *testing.T) {
	page := kvcache.Shape{Layers: 3, Heads: 2, Dim: 16}.PageBytes()
	e := start(t, "tiny", Options{CacheBytes: int64(8 * page)})
	_, err := e.Do(t.Context(), Request{Input: ask(e, 0, 9, 1), Options: sample.Options{MaxNewTokens: 1000}})
	if err == nil || !strings.Contains(err.Error(), "MiB are allowed") {
		t.Errorf("error %v, want one that says how much is allowed", err)
	}
	var wg sync.WaitGroup // each fits alone, all together do not: they wait for one another
	for i := range 10 {
		wg.Go(func() {
			do(t, e, Request{Input: ask(e, 0, 30, uint64(i)), Options: sample.Options{MaxNewTokens: 60}})
		})
	}
	wg.Wait()
}

func TestPromptThatCannotBeRead(t *testing.T) {
	e := start(t, "tiny", Options{})
	for name, in := range map[string]*input.Input{
		"empty":                        {},
		"longer than the model":        {IDs: make([]int32, 4096)},
		"image tokens without a image": {IDs: []int32{1, int32(e.model.Config.ImageTokenID)}},
	} {
		if _, err := e.Do(t.Context(), Request{Input: in}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestClose(t *testing.T) {
	e := start(t, "tiny", Options{})
	running := make(chan struct{})
	var once sync.Once
	failed := make(chan error)
	go func() {
		_, err := e.Do(context.Background(), Request{
			Input: ask(e, 0, 9, 6), Options: sample.Options{MaxNewTokens: 4000},
			Token: func(int, Token) bool { once.Do(func() { close(running) }); return false },
		})
		failed <- err
	}()
	<-running
	e.Close()
	if err := <-failed; !errors.Is(err, ErrClosed) {
		t.Errorf("a request that ran: %v", err)
	}
	if _, err := e.Do(t.Context(), Request{Input: ask(e, 0, 9, 6)}); !errors.Is(err, ErrClosed) {
		t.Errorf("a request that came later: %v", err)
	}
}

func TestAPanicIsAnError(t *testing.T) {
	e := start(t, "tiny", Options{})
	err := e.Exclusive(t.Context(), func(*model.Model) error { panic("a bug") })
	if err == nil || !strings.Contains(err.Error(), "a bug") {
		t.Errorf("error %v", err)
	}
}

func TestFeaturesForgetTheOldest(t *testing.T) {
	f := features{limit: 3 * 8}
	key := func(b byte) (k featureKey) { k.content[0] = b; return k }
	for b := range byte(3) {
		f.put(key(b+1), []float32{float32(b), 0})
	}
	f.get(key(1))
	f.put(key(4), []float32{9, 9})
	for b, want := range map[byte]bool{1: true, 2: false, 3: true, 4: true} {
		if _, ok := f.get(key(b)); ok != want {
			t.Errorf("picture %d: kept %v, want %v", b, ok, want)
		}
	}
	f.put(featureKey{}, []float32{1})
	if _, ok := f.get(featureKey{}); ok {
		t.Error("the zero key was kept")
	}
	f.put(key(5), make([]float32, 100))
	if _, ok := f.get(key(5)); ok || f.bytes > f.limit {
		t.Error("a picture larger than all the memory was kept")
	}
}

// Once buffers have grown, a token costs no allocation: pages and the answer's own list are
// all that grows.
func TestATokenAllocatesNothing(t *testing.T) {
	e := start(t, "tiny", Options{})
	measure := func(tokens int) float64 {
		in := ask(e, 0, 9, 6)
		return testing.AllocsPerRun(3, func() {
			if _, err := e.Do(context.Background(), Request{Input: in, Options: sample.Options{MaxNewTokens: tokens}}); err != nil {
				t.Fatal(err)
			}
		})
	}
	short, long := measure(100), measure(1100)
	if perToken := (long - short) / 1000; perToken > 0.02 {
		t.Errorf("%v allocations for 100 tokens, %v for 1100: %v a token", short, long, perToken)
	}
}

func ExampleEngine_Do() {
	source, err := checkpoint.Open("../testdata/golden/tiny/checkpoint")
	if err != nil {
		panic(err)
	}
	defer source.Close()
	m, err := model.Load(source, model.Options{})
	if err != nil {
		panic(err)
	}
	e := New(m, Options{})
	defer e.Close()
	result, err := e.Do(context.Background(), Request{
		Input:   &input.Input{IDs: []int32{1, 612, 478}},
		Options: sample.Options{MaxNewTokens: 5},
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(len(result.Answers[0].Tokens), result.Answers[0].Finish)
	// Output: 5 length
}
