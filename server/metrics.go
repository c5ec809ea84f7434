package server

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what Prometheus reads. No label holds what a request brought.
type metrics struct {
	handler      http.Handler
	requests     *prometheus.CounterVec // by key
	refused      *prometheus.CounterVec // by status
	tokens       *prometheus.CounterVec // by key and direction
	images       *prometheus.CounterVec // by key
	firstToken   prometheus.Histogram
	betweenToken prometheus.Histogram
	stage        *prometheus.HistogramVec
}

func newMetrics(s *Server) *metrics {
	r := prometheus.NewRegistry()
	seconds := prometheus.ExponentialBuckets(0.001, 2, 18) // to two minutes
	m := &metrics{
		requests:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "idefics2_requests_total", Help: "Requests that were let in."}, []string{"key"}),
		refused:      prometheus.NewCounterVec(prometheus.CounterOpts{Name: "idefics2_refused_total", Help: "Requests that got no answer, by status."}, []string{"status"}),
		tokens:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "idefics2_tokens_total", Help: "Tokens of prompts and of answers."}, []string{"key", "direction"}),
		images:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "idefics2_images_total", Help: "Pictures of answered requests."}, []string{"key"}),
		firstToken:   prometheus.NewHistogram(prometheus.HistogramOpts{Name: "idefics2_first_token_seconds", Help: "From a request to its first token.", Buckets: seconds}),
		betweenToken: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "idefics2_between_tokens_seconds", Help: "From one token to the next.", Buckets: seconds}),
		stage:        prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "idefics2_stage_seconds", Help: "Time of a request in a stage, waiting included: image, prefill, decode.", Buckets: seconds}, []string{"stage"}),
	}
	r.MustRegister(m.requests, m.refused, m.tokens, m.images, m.firstToken, m.betweenToken, m.stage,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "idefics2_requests_running", Help: "Requests that are being answered or wait for it."}, func() float64 { return float64(len(s.places)) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "idefics2_up_seconds", Help: "Since the start."}, func() float64 { return time.Since(s.started).Seconds() }),
	)
	m.handler = promhttp.HandlerFor(r, promhttp.HandlerOpts{})
	return m
}

func (m *metrics) serve(w http.ResponseWriter, r *http.Request, _ *holder) error {
	m.handler.ServeHTTP(w, r)
	return nil
}
