console.log("kernels: nothing yet")
