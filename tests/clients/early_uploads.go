// Go's net/http: uploads through a pipe that never ends, to a server that answers early.
//
//	go run early_uploads.go https://localhost:8443/401 200 ca.pem
//	  so many uploads, one after the other. One line for each status: its number and how often it
//	  came; the last line says how many connections they took. Exit status 0 if each got a status.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"strconv"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	target := os.Args[1]
	times, err := strconv.Atoi(os.Args[2])
	check(err)
	authority, err := os.ReadFile(os.Args[3])
	check(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	client := &http.Client{
		Transport: &http.Transport{
			ForceAttemptHTTP2: true,
			TLSClientConfig:   &tls.Config{RootCAs: roots},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}

	statuses := map[string]int{}
	connections := 0
	for i := 0; i < times; i++ {
		body, writer := io.Pipe()
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			piece := make([]byte, 10_000)
			for {
				if _, err := writer.Write(piece); err != nil {
					return
				}
			}
		}()
		request, err := http.NewRequest("POST", target, body)
		check(err)
		trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
			if !info.Reused {
				connections++
			}
		}}
		response, err := client.Do(request.WithContext(httptrace.WithClientTrace(request.Context(), trace)))
		check(err)
		_, err = io.Copy(io.Discard, response.Body)
		check(err)
		response.Body.Close()
		statuses[fmt.Sprintf("%s %d", response.Proto, response.StatusCode)]++
		<-stopped
	}
	for status, count := range statuses {
		fmt.Println(status, count)
	}
	fmt.Println("connections", connections)
}
