package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"time"
)

type healthCommand struct {
	URL      string        `arg:"" name:"url" help:"URL to ask, such as http://127.0.0.1:9000/ready."`
	Timeout  time.Duration `default:"5s" help:"How long to wait."`
	Insecure bool          `help:"Do not verify the certificate: a probe asks by address."`
}

// Run succeeds when the URL answers 2xx.
func (c *healthCommand) Run(ctx context.Context, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil || request.URL.Host == "" {
		return usagef("%q is not a URL", c.URL)
	}
	client := http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: c.Insecure}, //nolint:gosec // asked for by flag
		},
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("unhealthy: %w", err)
	}
	response.Body.Close()
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("unhealthy: %s answers %s", c.URL, response.Status)
	}
	_, err = fmt.Fprintln(p.stdout, "ok")
	return err
}
