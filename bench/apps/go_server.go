// go_server ADDRESS -cert FILE -key FILE: the HTTPS server of Go's standard library, which answers
// how much of a request's body it has read.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
)

func main() {
	flags := flag.NewFlagSet("go_server", flag.ExitOnError)
	cert := flags.String("cert", "", "certificate, PEM")
	key := flags.String("key", "", "its key, PEM")
	flags.Parse(os.Args[2:])
	http.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
		size, err := io.Copy(io.Discard, request.Body)
		if err == nil {
			fmt.Fprint(answer, size)
		}
	})
	log.Fatal(http.ListenAndServeTLS(os.Args[1], *cert, *key, nil))
}
