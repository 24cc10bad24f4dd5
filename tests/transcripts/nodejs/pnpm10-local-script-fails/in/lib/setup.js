console.error('the words are not there'); process.exitCode = 3;
