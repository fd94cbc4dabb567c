//! Laws of scaling and queueing: the Universal Scalability Law, Erlang C, asymptotic bounds.
