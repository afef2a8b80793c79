"""Moving images between references and layouts; never looking inside them."""
