// Command browser uses the page of "idefics2 serve" as a person would, in a real Chromium, and keeps
// what it saw: it fails where something is not as it should be.
//
//	idefics2 serve -addr 127.0.0.1:8097 &
//	go run . -url http://127.0.0.1:8097 -picture ../../docs/pictures/colour.png -out ../../docs/pictures
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdp "github.com/chromedp/chromedp"
)

func main() {
	log.SetFlags(0)
	url := flag.String("url", "http://127.0.0.1:8090", "of the server")
	picture := flag.String("picture", "", "file that is asked about")
	out := flag.String("out", ".", "folder of the pictures that are taken")
	flag.Parse()
	path, err := filepath.Abs(*picture)
	if err != nil {
		log.Fatal(err)
	}
	allocator, end := cdp.NewExecAllocator(context.Background(), append(cdp.DefaultExecAllocatorOptions[:], cdp.NoSandbox)...)
	defer end()
	ctx, leave := cdp.NewContext(allocator)
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	u := &user{ctx, *url, path, *out}
	for _, look := range []struct {
		name          string
		width, height int64
		theme         string
	}{
		{"desk-light", 1200, 800, "light"}, {"desk-dark", 1200, 800, "dark"}, {"tablet-light", 800, 1100, "light"}, {"phone-dark", 390, 800, "dark"},
	} {
		if err := u.converse(look.name, look.width, look.height, look.theme); err != nil {
			log.Fatalf("%s: %v", look.name, err)
		}
		log.Printf("ok   %s", look.name)
	}
}

type user struct {
	ctx      context.Context
	url      string
	picture  string
	pictures string
}

// converse asks about the picture, asks again, edits, stops, and sees that nothing came from elsewhere.
func (u *user) converse(name string, width, height int64, theme string) error {
	if err := cdp.Do(u.ctx, cdp.EmulateViewport(width, height)); err != nil {
		return err
	}
	if _, err := cdp.Call(u.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}}); err != nil {
		return err
	}
	steps := []cdp.Action[cdp.Void]{
		cdp.Navigate(u.url), cdp.WaitVisible("#hello"),
		cdp.Click("#settings-open"), cdp.WaitVisible("#settings"), u.check("#logprobs", true), u.set("#max-tokens", "24"), cdp.Click("#settings-open"),
		cdp.SetUploadFiles("#file", []string{u.picture}),
	}
	if err := cdp.Do(u.ctx, steps...); err != nil {
		return err
	}
	if err := u.until(`document.querySelector("#pictures figcaption")?.textContent.includes("tokens")`); err != nil {
		return fmt.Errorf("the price of the picture: %w", err)
	}
	if err := cdp.Do(u.ctx, cdp.SendKeys("#question", "What colour is the background?\r")); err != nil {
		return err
	}
	if err := u.until(`document.querySelector("article.assistant .tools")?.textContent.includes("tokens")`); err != nil {
		return fmt.Errorf("the answer: %w", err)
	}
	if err := u.until(`document.querySelectorAll("article.assistant .token").length > 0 && !!document.querySelector(".token").title`); err != nil {
		return fmt.Errorf("probabilities of words: %w", err)
	}
	if err := u.shoot("page-" + name + ".png"); err != nil {
		return err
	}
	if err := cdp.Do(u.ctx, u.click("article.assistant .tools button", "Again")); err != nil {
		return err
	}
	if err := u.until(`document.querySelectorAll("article").length === 2 && document.querySelector("article.assistant .tools")?.textContent.includes("tokens")`); err != nil {
		return fmt.Errorf("the answer again: %w", err)
	}
	if err := cdp.Do(u.ctx, u.click("article.user .tools button", "Edit"), u.set("#max-tokens", "4000"), u.set("#question", ""), cdp.SendKeys("#question", "Tell <b>all</b>\r")); err != nil {
		return err
	}
	if err := u.until(`document.querySelector("#send").textContent === "Stop" || document.querySelector("article.assistant .tools")`); err != nil {
		return fmt.Errorf("the answer to the edited question: %w", err)
	}
	stop, err := cdp.Run(u.ctx, cdp.Evaluate[bool](`document.querySelector("#send").textContent === "Stop" && (document.querySelector("#send").click(), true)`))
	if err != nil {
		return err
	}
	if err := u.until(`document.querySelector("#send").textContent === "Send"`); err != nil {
		return fmt.Errorf("after stopping (%v): %w", stop, err)
	}
	html, err := cdp.Run(u.ctx, cdp.InnerHTML("article.user .text"))
	if err != nil || !strings.Contains(html, "&lt;b&gt;") {
		return fmt.Errorf("text became HTML: %q %v", html, err)
	}
	strangers, err := cdp.Run(u.ctx, cdp.Evaluate[int](`performance.getEntriesByType("resource").filter(e => !e.name.startsWith(location.origin) && !e.name.startsWith("data:")).length`))
	if err != nil || strangers != 0 {
		return fmt.Errorf("%d requests to others %v", strangers, err)
	}
	return cdp.Do(u.ctx, cdp.Click("#new"), cdp.WaitVisible("#hello"))
}

func (u *user) until(expression string) error {
	ctx, cancel := context.WithTimeout(u.ctx, 30*time.Second)
	defer cancel()
	_, err := cdp.Run(ctx, cdp.Poll[bool]("!!("+expression+")"))
	return err
}

func (u *user) set(id, value string) cdp.Action[cdp.Void] {
	return u.do(fmt.Sprintf(`(e => { e.value = %q; e.dispatchEvent(new Event("change")); })(document.querySelector(%q))`, value, id))
}

func (u *user) check(id string, on bool) cdp.Action[cdp.Void] {
	return u.do(fmt.Sprintf(`(e => { e.checked = %v; e.dispatchEvent(new Event("change")); })(document.querySelector(%q))`, on, id))
}

func (u *user) click(among, label string) cdp.Action[cdp.Void] {
	return u.do(fmt.Sprintf(`[...document.querySelectorAll(%q)].find(e => e.textContent === %q).click()`, among, label))
}

func (u *user) do(expression string) cdp.Action[cdp.Void] {
	return cdp.Func(func(ctx context.Context, _ *cdp.Target) error {
		_, err := cdp.Run(u.ctx, cdp.Evaluate[bool](expression+", true"))
		return err
	})
}

func (u *user) shoot(name string) error {
	data, err := cdp.Run(u.ctx, cdp.CaptureScreenshot())
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(u.pictures, name), data, 0o666)
}
