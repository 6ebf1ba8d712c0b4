// Command controllers runs what Jobs need out of the controllers of Kubernetes: the pods of Jobs, the end of finished Jobs,
// the garbage collector, and default service accounts. kube-controller-manager would take as long to compile as the API
// server.
package main

import (
	"flag"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/controller-manager/pkg/informerfactory"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	"k8s.io/kubernetes/pkg/controller/job"
	"k8s.io/kubernetes/pkg/controller/serviceaccount"
	"k8s.io/kubernetes/pkg/controller/ttlafterfinished"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server")
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	fatal(err)
	// The collector asks about many kinds of objects when it starts.
	config.QPS, config.Burst = 200, 400
	client, err := kubernetes.NewForConfig(config)
	fatal(err)
	data, err := metadata.NewForConfig(config)
	fatal(err)
	typed, untyped := informers.NewSharedInformerFactory(client, 0), metadatainformer.NewSharedInformerFactory(data, 0)
	core, batch := typed.Core().V1(), typed.Batch().V1()
	options := serviceaccount.DefaultServiceAccountsControllerOptions()
	accounts, err := serviceaccount.NewServiceAccountsController(core.ServiceAccounts(), core.Namespaces(), client, options)
	fatal(err)
	kinds := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery()))
	started := make(chan struct{})
	factory := informerfactory.NewInformerFactory(typed, untyped)
	events := map[schema.GroupResource]struct{}{{Resource: "events"}: {}, {Group: "events.k8s.io", Resource: "events"}: {}}
	collector, err := garbagecollector.NewGarbageCollector(client, data, kinds, events, factory, started)
	fatal(err)
	jobs := job.NewController(core.Pods(), batch.Jobs(), client)
	finished := ttlafterfinished.New(batch.Jobs(), client)
	stop := make(chan struct{})
	factory.Start(stop)
	close(started)
	go accounts.Run(1, stop)
	go finished.Run(1, stop)
	go collector.Run(2, stop)
	go collector.Sync(client.Discovery(), 5*time.Second, stop)
	jobs.Run(2, stop)
}

func fatal(err error) {
	if err != nil {
		klog.Fatal(err)
	}
}
